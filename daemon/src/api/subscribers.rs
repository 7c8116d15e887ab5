//! Clients that are sent every change.

use std::{cell::Cell, sync::Weak};

use protocol::{Event, Status};
use tokio::{
    sync::broadcast,
    time::{Duration, Instant},
};

use crate::api::{Line, line};

/// How many events a subscriber may lag behind before it gets the whole state again.
const LAG: usize = 4096;

/// How long new subscribers share one encoded state; only its uptime gets old.
const STATE_AGE: Duration = Duration::from_secs(1);

/// The channel to all subscribers.
pub(crate) struct Subscribers {
    events: broadcast::Sender<Line>,
    /// The last state that was sent, and when; freed once every client has it. Many may subscribe at once:
    /// 200 clients of 10,000 checkpoints took 0.1 s and 10 MB with it, and 14 s and 885 MB without
    /// (`scenarios::measure`).
    state: Cell<Option<(Instant, Weak<[u8]>)>>,
    /// The status that all subscribers have; absent while there are none.
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

    /// Sends an event; there may be no subscribers.
    pub(crate) fn tell(&mut self, event: &Event) {
        self.state_changed();
        if let (Event::Building(building), Some(told)) = (event, &mut self.told) {
            told.building.clone_from(building);
        }
        if self.are_there() {
            let _ = self.events.send(line(event));
        }
    }

    /// Sends what has changed in the status since the last time.
    pub(crate) fn tell_status(&mut self, now: Status) {
        if let Some(before) = self.told.take() {
            now.since(&before).iter().for_each(|event| self.tell(event));
        }
        self.told = self.are_there().then_some(now);
    }

    /// Discards the state that was last sent.
    pub(crate) fn state_changed(&self) {
        self.state.take();
    }

    /// Returns the whole state, and the channel of what follows.
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
                // The existing subscribers get what follows too.
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
    async fn the_state_is_encoded_once_for_many_subscribers_and_not_kept() {
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
