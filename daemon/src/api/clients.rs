use std::{cell::OnceCell, collections::BTreeMap, mem};

use checkpoint::Id;
use protocol::{Checkpoint, EntryKey, Event, Reply, State, Status, list_changes};
use tokio::{
    sync::{broadcast, oneshot},
    time::Instant,
};

use super::{Line, subscribers::Subscribers, view, waiters::Waiter};
use crate::planner::{Snapshot, Want};

/// Who asks, waits and watches, and what was shown last.
#[derive(Default)]
pub(crate) struct Clients {
    subscribers: Subscribers,
    waiters: Vec<Waiter>,
    /// Those that are answered after the next step.
    asked: Vec<Asked>,
    /// What clients see: the queue, how many entries of `list` are in each state, and the entries.
    queue: Vec<Want>,
    counts: BTreeMap<State, usize>,
    list: OnceCell<BTreeMap<EntryKey, Checkpoint>>,
}

/// A client that is answered after the next step.
pub(crate) struct Asked {
    pub(crate) about: About,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What it is told.
pub(crate) enum About {
    /// How the daemon is.
    Status,
    /// How a checkpoint is, by its key.
    Checkpoint(EntryKey),
    /// Whether this engine went.
    Removed(Id),
    /// What went because nobody needs it.
    Garbage,
}

impl Clients {
    /// What is to be done, in order.
    pub(crate) fn queue(&self) -> &[Want] {
        &self.queue
    }

    /// How many entries of `list` are in each state.
    pub(crate) fn counts(&self) -> &BTreeMap<State, usize> {
        &self.counts
    }

    /// The entries of `list` by key. With thousands of checkpoints they take milliseconds to make and
    /// megabytes to keep, so that is done for those who look only.
    pub(crate) fn list(&self, snapshot: &Snapshot<'_>) -> &BTreeMap<EntryKey, Checkpoint> {
        self.list
            .get_or_init(|| view::checkpoints(snapshot, &snapshot.catalogue.held(), &self.queue))
    }

    /// Somebody is to be answered after the next step.
    pub(crate) fn record_asked(&mut self, about: About, reply: oneshot::Sender<Reply>) {
        self.asked.push(Asked { about, reply });
    }

    /// Somebody waits until nothing is left to do.
    pub(crate) fn record_waiter(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// Somebody begins to watch: the whole state, and what follows it.
    pub(crate) fn record_subscriber(
        &mut self,
        state: impl FnOnce(&Self) -> Event,
    ) -> (Line, broadcast::Receiver<Line>) {
        let mut subscribers = mem::take(&mut self.subscribers);
        let begun = subscribers.begin(|| state(self));
        self.subscribers = subscribers;
        begun
    }

    /// When the next one has waited for as long as it would.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiters.iter().map(Waiter::deadline).min()
    }

    /// From now on this is shown.
    pub(crate) fn show(&mut self, queue: Vec<Want>, counts: BTreeMap<State, usize>) {
        (self.queue, self.counts) = (queue, counts);
    }

    /// Tells those who watch.
    pub(crate) fn tell(&mut self, event: &Event) {
        self.subscribers.tell(event);
    }

    /// Tells those who watch which entries of `list` have changed.
    pub(crate) fn announce(&mut self, snapshot: &Snapshot<'_>) {
        self.subscribers.state_changed();
        // Whoever watches has seen a list, and knows what has changed since.
        let before = self.list.take().unwrap_or_default();
        if !self.subscribers.are_there() {
            return;
        }
        for event in list_changes(&before, self.list(snapshot)) {
            self.subscribers.tell(&event);
        }
    }

    /// Whoever begins to watch next gets a state of its own.
    #[cfg(test)]
    pub(crate) fn forget_state(&self) {
        self.subscribers.state_changed();
    }

    /// Whether somebody watches.
    pub(crate) fn are_watching(&self) -> bool {
        self.subscribers.are_there()
    }

    /// Tells those who watch what of the status has changed.
    pub(crate) fn tell_status(&mut self, status: Status) {
        self.subscribers.tell_status(status);
    }

    /// Answers those who have waited for long enough, or for nothing any more. `stuck` says why nothing that is
    /// queued will be built.
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

    /// Those who are to be answered now.
    pub(crate) fn take_asked(&mut self) -> Vec<Asked> {
        mem::take(&mut self.asked)
    }
}
