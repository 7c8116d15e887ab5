//! What is to be done at which time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Showing what changed waits for what else changes in this time.
const SHOW: Duration = Duration::from_millis(20);

/// While files are read, at most this part of the time goes to showing it: with 10,000 checkpoints a step takes
/// 80 ms, which every [`SHOW`] would be four fifths of the loop's time (`scenarios::measure`).
const SHOW_SHARE: u32 = 20;

/// What was learned goes to the disk this long after it was.
const FLUSH: Duration = Duration::from_secs(1);

/// After it could not be written.
const FLUSH_AGAIN: Duration = Duration::from_secs(5);

/// Free memory goes back this long after it was used: what follows at once uses it again.
const TIDY: Duration = Duration::from_secs(5);

/// Between two times of clearing away what nobody needs.
const HOUSEKEEPING: Duration = Duration::from_secs(86_400);

/// When what is to be done, at the latest.
pub(crate) struct Timers {
    reconcile: Option<Instant>,
    /// Before this time nothing is shown while files are read.
    not_before: Option<Instant>,
    flush: Option<Instant>,
    housekeeping: Instant,
    /// Give free memory back.
    tidy: Option<Instant>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let housekeeping = Instant::now();
        Self { reconcile: None, not_before: None, flush: None, housekeeping, tidy: None }
    }

    /// What is known has changed; what follows is done and shown at once.
    pub(crate) fn now(&mut self) {
        self.reconcile = Some(Instant::now());
    }

    /// The same before long. While files are read, as `is_busy` says, it may take longer.
    pub(crate) fn soon(&mut self, is_busy: bool) {
        let soon = Instant::now() + SHOW;
        let not_before = self.not_before.filter(|_| is_busy);
        self.at(not_before.map_or(soon, |earliest| soon.max(earliest)));
    }

    /// The same at this time at the latest.
    pub(crate) fn at(&mut self, time: Instant) {
        self.reconcile = sooner(self.reconcile, time);
    }

    /// Whether something has changed that was not shown yet.
    pub(crate) fn is_stale(&self) -> bool {
        self.reconcile.is_some()
    }

    /// Whether something may be shown although files are read, as `is_busy` says.
    pub(crate) fn may_show(&self, is_busy: bool) -> bool {
        self.not_before.is_none_or(|earliest| !is_busy || earliest <= Instant::now())
    }

    /// Whether it is time to do and show what follows.
    pub(crate) fn is_reconcile_due(&self, now: Instant) -> bool {
        passed(self.reconcile, now)
    }

    /// What follows is being done.
    pub(crate) fn record_begin(&mut self) {
        self.reconcile = None;
    }

    /// That took so long.
    pub(crate) fn record_end(&mut self, took: Duration) {
        self.not_before = Some(Instant::now() + took * (SHOW_SHARE - 1));
        self.memory_used();
    }

    /// Memory was used that is free again soon.
    pub(crate) fn memory_used(&mut self) {
        self.tidy = sooner(self.tidy, Instant::now() + TIDY);
    }

    /// Something was learned that is to outlive the daemon.
    pub(crate) fn learned(&mut self) {
        self.flush = sooner(self.flush, Instant::now() + FLUSH);
    }

    /// It could not be saved: that is tried again.
    pub(crate) fn learned_but_unsaved(&mut self) {
        self.flush = sooner(self.flush, Instant::now() + FLUSH_AGAIN);
    }

    /// The next time at which something is due. Housekeeping may have to wait, as `may_clean` says.
    pub(crate) fn deadline(&self, may_clean: bool) -> Option<Instant> {
        let housekeeping = Some(self.housekeeping).filter(|_| may_clean);
        [self.reconcile, self.flush, self.tidy, housekeeping].into_iter().flatten().min()
    }

    /// Whether what was learned is to go to the disk now.
    pub(crate) fn take_flush(&mut self, now: Instant) -> bool {
        take(&mut self.flush, now)
    }

    /// Whether free memory is to go back now.
    pub(crate) fn take_tidy(&mut self, now: Instant) -> bool {
        take(&mut self.tidy, now)
    }

    /// Whether what nobody needs is to be cleared away now.
    pub(crate) fn take_housekeeping(&mut self, now: Instant) -> bool {
        let is_due = self.housekeeping <= now;
        if is_due {
            self.housekeeping = now + HOUSEKEEPING;
        }
        is_due
    }
}

/// Whether `when` has come, which then is over.
fn take(when: &mut Option<Instant>, now: Instant) -> bool {
    when.take_if(|when| *when <= now).is_some()
}

/// Whether `when` has come.
pub(crate) fn passed(when: Option<Instant>, now: Instant) -> bool {
    when.is_some_and(|when| when <= now)
}

/// The earlier of two times, either of which may not be set.
pub(crate) fn sooner(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// The present, as manifests tell times.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
