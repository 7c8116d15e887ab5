use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use tokio::time::Instant;

use protocol::Request;

use crate::{
    api::waiters::Waiter, event::Message, event_loop::Actor, inventory::looking::GATHER, memory,
};

/// Showing what changed waits for what else changes in this time.
const SHOW: Duration = Duration::from_millis(20);

/// While files are read, at most this part of the time goes to showing it: with thousands of
/// checkpoints that takes a while.
const SHOW_SHARE: u32 = 20;

/// What was learned goes to the disk this long after it was.
const FLUSH: Duration = Duration::from_secs(1);

/// Free memory goes back this long after it was used: what follows at once uses it again.
const TIDY: Duration = Duration::from_secs(5);

/// What is to be done, and when at the latest.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) scan: Option<Instant>,
    /// One more scan after the last event of a burst.
    pub(crate) second_look: Option<Instant>,
    /// Look at [`Self::written_paths`].
    pub(crate) written: Option<Instant>,
    pub(crate) written_paths: BTreeSet<PathBuf>,
    pub(crate) show: Option<Instant>,
    /// Before this time nothing is shown while files are read.
    pub(crate) not_shown_before: Option<Instant>,
    pub(crate) flush: Option<Instant>,
    pub(crate) housekeeping: Option<Instant>,
    /// Give free memory back.
    pub(crate) tidy: Option<Instant>,
}

impl Due {
    /// What is known has changed, and what follows is done and shown at once.
    pub(crate) fn now(&mut self) {
        self.show = Some(Instant::now());
    }
}

/// Whether `when` has come.
fn passed(when: Option<Instant>, now: Instant) -> bool {
    when.is_some_and(|when| when <= now)
}

/// The earlier of two times, either of which may not be set.
pub(crate) fn sooner(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

impl Actor {
    pub(crate) fn next_deadline(&self) -> Instant {
        // A scan or a look under way sends a message when it is done; until then its next is not
        // due.
        let scanning = self.looks.scans_begun > self.looks.scans_done;
        let times = [
            self.due.scan.filter(|_| !scanning),
            self.due.second_look.filter(|_| !scanning),
            self.due.written,
            self.due.show,
            self.due.flush,
            self.due.tidy,
            self.due.housekeeping.filter(|_| self.world.surveyed),
            self.gating.deadline(),
            self.manager.due,
            self.next_settled().filter(|_| !self.looks.settling),
            self.waiters.iter().map(Waiter::deadline).min(),
        ];
        let far = Instant::now() + Duration::from_secs(86_400);
        times.into_iter().flatten().min().unwrap_or(far)
    }

    fn next_settled(&self) -> Option<Instant> {
        let next = Instant::from_std(self.world.catalogue.next_settled()?);
        Some(next + GATHER.min(self.world.config.settle()))
    }

    pub(crate) fn do_what_is_due(&mut self, now: Instant) {
        if passed(self.manager.due, now) {
            self.manager.alive(now);
        }
        if self.looks.scans_begun == self.looks.scans_done {
            if passed(self.due.second_look, now) {
                self.due.second_look = None;
                self.due.scan = Some(now);
            }
            if passed(self.due.scan, now) {
                self.due.scan = None;
                self.begin_scan();
            }
        }
        if passed(self.due.written, now) {
            self.due.written = None;
            self.look_at_written();
        }
        if passed(self.next_settled(), now) && !self.looks.settling {
            self.check_settling(now);
        }
        self.start_reading();
        if passed(self.due.flush, now) {
            self.due.flush = None;
            let store = self.world.store.clone();
            tokio::task::spawn_blocking(move || store.flush());
        }
        if passed(self.due.tidy, now) {
            self.due.tidy = None;
            tokio::task::spawn_blocking(memory::give_back);
        }
        self.look_at_machine(now);
    }

    /// Something changed that clients see.
    pub(crate) fn refresh_soon(&mut self) {
        let soon = Instant::now() + SHOW;
        self.due.show =
            sooner(self.due.show, self.not_shown_before().map_or(soon, |t| soon.max(t)));
    }

    fn not_shown_before(&self) -> Option<Instant> {
        let is_reading = self.looks.reading > 0 || self.looks.settling;
        self.due.not_shown_before.filter(|_| is_reading)
    }

    /// Whether what is known has changed, and it is time to do and show what follows.
    pub(crate) fn is_reconcile_due(&self, now: Instant) -> bool {
        let waited = self.waiters.iter().any(|waiter| waiter.deadline() <= now);
        waited || passed(self.due.show, now)
    }

    /// Has a question that is asked while something has changed answered after the next step. What is asked
    /// about must be as new as what the client may have done itself.
    pub(crate) fn must_wait(&mut self, message: &Message) -> bool {
        let is_time = self.not_shown_before().is_none_or(|earliest| earliest <= Instant::now());
        let waits = match message {
            Message::Watch(_) | Message::Ask(Request::Status | Request::List, _) => is_time,
            Message::Ask(Request::Shapes { .. }, _) => false,
            Message::Ask(..) => true,
            _ => false,
        };
        let waits = waits && self.due.show.is_some();
        if waits {
            self.due.now();
        }
        waits
    }

    /// Takes in that time has passed.
    pub(crate) fn note_time(&mut self, now: Instant) {
        if passed(self.due.housekeeping, now) && self.world.surveyed {
            self.keep_house(now);
        }
    }

    /// Notes that showing took so long.
    pub(crate) fn note_showing(&mut self, took: Duration) {
        self.due.not_shown_before = Some(Instant::now() + took * (SHOW_SHARE - 1));
    }

    /// Memory was used that is free again soon.
    pub(crate) fn tidy_soon(&mut self) {
        self.due.tidy = sooner(self.due.tidy, Instant::now() + TIDY);
    }

    /// Something was learned that is to outlive the daemon.
    pub(crate) fn learned(&mut self) {
        self.due.flush = sooner(self.due.flush, Instant::now() + FLUSH);
    }
}
