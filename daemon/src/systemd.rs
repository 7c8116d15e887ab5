//! What the service manager is told: that the daemon is ready, at work, stopping, and how it is.

use std::{collections::BTreeMap, fmt, time::Duration};

use protocol::{Building, State};
use sd_notify::NotifyState;
use tokio::time::Instant;

/// The service manager's end. Where nobody listens, nothing is said.
#[derive(Debug)]
pub(crate) struct Manager {
    /// How often it wants to hear that the loop is alive.
    alive_every: Option<Duration>,
    /// When to say so next.
    pub(crate) due: Option<Instant>,
    /// What `systemctl status` shows.
    said: String,
}

impl Manager {
    pub(crate) fn new(now: Instant) -> Self {
        // Twice in the time it allows, as systemd advises.
        let alive_every = sd_notify::watchdog_enabled().map(|allowed| allowed / 2);
        Self { alive_every, due: alive_every.map(|_| now), said: String::new() }
    }

    /// Called by the loop and nobody else, so that a stuck loop is noticed.
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

    /// Shows how the daemon is, if that is news.
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

/// How the daemon is, in one line for people.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    pub(crate) building: Vec<Building>,
    /// Why nothing is built.
    pub(crate) obstacle: Option<String>,
    /// Engines to come.
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
    fn one_line_says_how_it_is() {
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
