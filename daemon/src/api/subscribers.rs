//! Clients that are told what changes.

use std::{cell::Cell, sync::Weak};

use protocol::{Event, Status};
use tokio::{
    sync::broadcast,
    time::{Duration, Instant},
};

use crate::api::{Line, line};

/// Events that a watcher may lag behind before it gets the whole state anew.
const LAG: usize = 4096;

/// For so long the state is the same to those who begin to watch; only the uptime is not.
const STATE_AGE: Duration = Duration::from_secs(1);

/// The channel to them.
pub(crate) struct Subscribers {
    events: broadcast::Sender<Line>,
    /// The state as it was told last and when; gone once everybody has it. Many may begin to watch at once: 200 of
    /// 10,000 checkpoints took 0.1 s and 10 MB with it, and 14 s and 885 MB without (`scenarios::measure`).
    state: Cell<Option<(Instant, Weak<[u8]>)>>,
    /// The status as every watcher has been told it; absent before somebody watches.
    told: Option<Status>,
}

impl Default for Subscribers {
    fn default() -> Self {
        Self { events: broadcast::Sender::new(LAG), state: Cell::default(), told: None }
    }
}

impl Subscribers {
    pub(crate) fn are_there(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Nobody may be watching.
    pub(crate) fn tell(&mut self, event: &Event) {
        self.state_changed();
        if let (Event::Building(building), Some(told)) = (event, &mut self.told) {
            told.building.clone_from(building);
        }
        if self.are_there() {
            let _ = self.events.send(line(event));
        }
    }

    /// Tells what of the status has changed since it was told last.
    pub(crate) fn tell_status(&mut self, now: Status) {
        if let Some(before) = self.told.take() {
            now.since(&before).iter().for_each(|event| self.tell(event));
        }
        self.told = self.are_there().then_some(now);
    }

    /// What was told last no longer holds.
    pub(crate) fn state_changed(&self) {
        self.state.take();
    }

    /// The whole state, and what follows it.
    pub(crate) fn begin(
        &mut self,
        state: impl FnOnce() -> Event,
    ) -> (Line, broadcast::Receiver<Line>) {
        let now = Instant::now();
        let known = self.state.take().filter(|(told, _)| now < *told + STATE_AGE);
        let known = known.and_then(|(told, state)| Some((told, state.upgrade()?)));
        let (told, line) = known.unwrap_or_else(|| {
            let state = state();
            if let Event::State { status, .. } = &state {
                // What follows is told to those who watch already, too.
                self.tell_status(Status::clone(status));
                self.told = Some(Status::clone(status));
            }
            (now, line(&state))
        });
        self.state.set(Some((told, std::sync::Arc::downgrade(&line))));
        (line, self.events.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str) -> Event {
        Event::Gone(key.to_owned().into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_state_is_written_once_for_many_and_not_kept() {
        let mut subscribers = Subscribers::default();
        let (first, _) = subscribers.begin(|| event("1"));
        let (second, mut changes) = subscribers.begin(|| event("2"));
        assert_eq!(first, second);
        subscribers.tell(&event("x"));
        assert_eq!(*changes.try_recv().unwrap(), *line(&event("x")));
        let (third, _) = subscribers.begin(|| event("3"));
        assert_eq!(*third, *line(&event("3")), "it has changed");
        tokio::time::advance(STATE_AGE).await;
        let (fourth, _) = subscribers.begin(|| event("4"));
        assert_eq!(*fourth, *line(&event("4")), "it is old");
        let (_, kept) = subscribers.state.take().unwrap();
        drop(fourth);
        assert!(kept.upgrade().is_none());
    }
}
