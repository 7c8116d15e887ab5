//! Notifies the service manager that the daemon is ready, alive or stopping, and of its status.

use std::{collections::BTreeMap, fmt, time::Duration};

use protocol::{Building, State};
use sd_notify::NotifyState;
use tokio::time::Instant;

/// The connection to the service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Manager {
    /// How often it expects a sign of life from the loop.
    alive_every: Option<Duration>,
    /// When the next one is due.
    pub(crate) due: Option<Instant>,
    /// The last status that was sent.
    said: String,
}

impl Manager {
    pub(crate) fn new(now: Instant) -> Self {
        // Half of the time allowed, as systemd recommends.
        let alive_every = sd_notify::watchdog_enabled().map(|allowed| allowed / 2);
        Self { alive_every, due: alive_every.map(|_| now), said: String::new() }
    }

    /// Called only by the loop, so that a stuck loop is noticed.
    pub(crate) fn alive(&mut self, now: Instant) {
        self.due = self.alive_every.map(|every| now + every);
        tell(NotifyState::Watchdog);
    }

    pub(crate) fn ready(&self) {
        tell(NotifyState::Ready);
    }

    pub(crate) fn reloading(&self) {
        let now = NotifyState::monotonic_usec_now();
        let states = now.map(|now| [NotifyState::Reloading, now]);
        if let Ok(states) = states {
            let _ = sd_notify::notify(&states);
        }
    }

    pub(crate) fn stopping(&self) {
        tell(NotifyState::Stopping);
    }

    /// Sends the status if it has changed.
    pub(crate) fn show(&mut self, glance: &Glance) {
        let now = glance.to_string();
        if now != self.said {
            tell(NotifyState::Status(&now));
            self.said = now;
        }
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!("the service manager can't be told: {error}");
    }
}

/// The daemon's status in one line.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    pub(crate) building: Vec<Building>,
    /// Why nothing is built.
    pub(crate) obstacle: Option<String>,
    /// The number of engines to build.
    pub(crate) queued: usize,
    pub(crate) counts: BTreeMap<State, usize>,
}

impl fmt::Display for Glance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let building = self.building.iter().map(|building| {
            let id = building.weights_id.short();
            format!("{} {id}, {} {} %", building.task, building.phase, building.percent)
        });
        let building = building.collect::<Vec<_>>().join("; ");
        let doing = if building.is_empty() { self.obstacle.clone() } else { Some(building) };
        let queued = (self.queued > 0).then(|| format!("{} in the queue", self.queued));
        let counts = self.counts.iter().map(|(state, count)| format!("{count} {state}"));
        let counts = Some(counts.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty());
        let parts: Vec<_> = [doing, queued, counts].into_iter().flatten().collect();
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use protocol::Task;

    use super::*;

    #[test]
    fn the_status_is_one_line() {
        let building = Building {
            task: Task::Build,
            weights_id: format!("{:f<64}", "84d039a40788").into(),
            preset: "default".into(),
            phase: "build".into(),
            percent: 83,
            elapsed_s: 60,
            gpu: None,
        };
        let validation = Building { task: Task::Validate, gpu: Some(1), ..building.clone() };
        let paused = || Some("paused".to_owned());
        let counts = || [(State::Queued, 1), (State::Ready, 2)].into();
        for (glance, said) in [
            (Glance::default(), ""),
            (Glance { counts: counts(), ..Glance::default() }, "1 queued, 2 ready"),
            (
                Glance {
                    building: vec![building.clone()],
                    obstacle: paused(),
                    queued: 1,
                    counts: counts(),
                },
                "building 84d039a40788, build 83 %; 1 in the queue; 1 queued, 2 ready",
            ),
            (
                Glance { building: vec![building, validation], ..Glance::default() },
                "building 84d039a40788, build 83 %; validating 84d039a40788, build 83 %",
            ),
            (
                Glance { obstacle: paused(), counts: counts(), ..Glance::default() },
                "paused; 1 queued, 2 ready",
            ),
        ] {
            assert_eq!(glance.to_string(), said);
        }
    }
}
