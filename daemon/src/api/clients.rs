use std::{cell::OnceCell, collections::BTreeMap, mem};

use checkpoint::Id;
use protocol::{Checkpoint, EntryKey, Event, Reply, State, Status, list_changes};
use tokio::{
    sync::{broadcast, oneshot},
    time::Instant,
};

use super::{Line, subscribers::Subscribers, view, waiters::Waiter};
use crate::planner::{Snapshot, Want};

/// The clients that wait for a reply, wait for work to end, or subscribe; and the last views.
#[derive(Default)]
pub(crate) struct Clients {
    subscribers: Subscribers,
    waiters: Vec<Waiter>,
    /// Those that get a reply after the next step.
    asked: Vec<Asked>,
    /// What clients see: the queue, the number of entries of `list` in each state, and the entries.
    queue: Vec<Want>,
    counts: BTreeMap<State, usize>,
    list: OnceCell<BTreeMap<EntryKey, Checkpoint>>,
}

/// A client that gets a reply after the next step.
pub(crate) struct Asked {
    pub(crate) about: About,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What the reply is about.
pub(crate) enum About {
    /// The daemon's status.
    Status,
    /// A checkpoint's state, by its key.
    Checkpoint(EntryKey),
    /// Whether this engine was removed.
    Removed(Id),
    /// Which unneeded engines and files were removed.
    Garbage,
}

impl Clients {
    /// The jobs to do, in order.
    pub(crate) fn queue(&self) -> &[Want] {
        &self.queue
    }

    /// The number of entries of `list` in each state.
    pub(crate) fn counts(&self) -> &BTreeMap<State, usize> {
        &self.counts
    }

    /// The entries of `list` by key. With thousands of checkpoints they take milliseconds to make and
    /// megabytes to keep, so they are made only when a client needs them.
    pub(crate) fn list(&self, snapshot: &Snapshot<'_>) -> &BTreeMap<EntryKey, Checkpoint> {
        self.list
            .get_or_init(|| view::checkpoints(snapshot, &snapshot.catalogue.held(), &self.queue))
    }

    /// Records a client that gets a reply after the next step.
    pub(crate) fn record_asked(&mut self, about: About, reply: oneshot::Sender<Reply>) {
        self.asked.push(Asked { about, reply });
    }

    /// Records a client that waits until nothing is left to do.
    pub(crate) fn record_waiter(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// Records a subscriber: it gets the whole state, then every change.
    pub(crate) fn record_subscriber(
        &mut self,
        state: impl FnOnce(&Self) -> Event,
    ) -> (Line, broadcast::Receiver<Line>) {
        let mut subscribers = mem::take(&mut self.subscribers);
        let begun = subscribers.begin(|| state(self));
        self.subscribers = subscribers;
        begun
    }

    /// When the next waiter's time is up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiters.iter().map(Waiter::deadline).min()
    }

    /// Sets what clients see.
    pub(crate) fn show(&mut self, queue: Vec<Want>, counts: BTreeMap<State, usize>) {
        (self.queue, self.counts) = (queue, counts);
    }

    /// Sends an event to subscribers.
    pub(crate) fn tell(&mut self, event: &Event) {
        self.subscribers.tell(event);
    }

    /// Sends subscribers the entries of `list` that have changed.
    pub(crate) fn announce(&mut self, snapshot: &Snapshot<'_>) {
        self.subscribers.state_changed();
        // Subscribers have seen a list, and get what has changed since.
        let before = self.list.take().unwrap_or_default();
        if !self.subscribers.are_there() {
            return;
        }
        for event in list_changes(&before, self.list(snapshot)) {
            self.subscribers.tell(&event);
        }
    }

    /// Gives the next subscriber a newly encoded state.
    #[cfg(test)]
    pub(crate) fn forget_state(&self) {
        self.subscribers.state_changed();
    }

    /// Whether there are subscribers.
    pub(crate) fn are_watching(&self) -> bool {
        self.subscribers.are_there()
    }

    /// Sends subscribers what has changed in the status.
    pub(crate) fn tell_status(&mut self, status: Status) {
        self.subscribers.tell_status(status);
    }

    /// Replies to those who have waited long enough, or have nothing left to wait for. `stuck` says why
    /// nothing in the queue will be built.
    pub(crate) fn serve_waiters(&mut self, snapshot: &Snapshot<'_>, scans: u64) {
        if self.waiters.is_empty() {
            return;
        }
        let (now, waiters) = (Instant::now(), mem::take(&mut self.waiters));
        let list: Vec<&Checkpoint> = self.list(snapshot).values().collect();
        let (sought, stuck) = (snapshot.is_runtime_sought(), snapshot.stuck(&self.queue));
        let serve = |waiter: Waiter| waiter.serve(&list, scans, sought, stuck.as_deref(), now);
        self.waiters = waiters.into_iter().filter_map(serve).collect();
    }

    /// Takes the clients that get a reply now.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        mem::take(&mut self.asked)
    }
}
