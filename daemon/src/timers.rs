//! When things are due.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// How long after a change to reconcile, to combine several.
const SHOW: Duration = Duration::from_millis(20);

/// While files are read, at most this part of the time goes to showing it: with 10,000 checkpoints a step takes
/// 80 ms, which every [`SHOW`] would be four fifths of the loop's time (`scenarios::measure`).
const SHOW_SHARE: u32 = 20;

/// How long after a change to write the cache.
const FLUSH: Duration = Duration::from_secs(1);

/// How long after a failed write to retry.
const FLUSH_AGAIN: Duration = Duration::from_secs(5);

/// How long after use to return freed memory: work that follows at once would need it again.
const TIDY: Duration = Duration::from_secs(5);

/// How often to remove what is no longer needed.
const HOUSEKEEPING: Duration = Duration::from_secs(86_400);

/// When each thing is due.
pub(crate) struct Timers {
    reconcile: Option<Instant>,
    /// The earliest time to reconcile while files are read.
    not_before: Option<Instant>,
    flush: Option<Instant>,
    housekeeping: Instant,
    /// When to return freed memory.
    tidy: Option<Instant>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        let housekeeping = Instant::now();
        Self { reconcile: None, not_before: None, flush: None, housekeeping, tidy: None }
    }

    /// Makes a reconcile step due at once.
    pub(crate) fn now(&mut self) {
        self.reconcile = Some(Instant::now());
    }

    /// Makes a reconcile step due soon, or later while files are being read (`is_busy`).
    pub(crate) fn soon(&mut self, is_busy: bool) {
        let soon = Instant::now() + SHOW;
        let not_before = self.not_before.filter(|_| is_busy);
        self.at(not_before.map_or(soon, |earliest| soon.max(earliest)));
    }

    /// Makes a reconcile step due at this time at the latest.
    pub(crate) fn at(&mut self, time: Instant) {
        self.reconcile = sooner(self.reconcile, time);
    }

    /// Whether something changed since the last step.
    pub(crate) fn is_stale(&self) -> bool {
        self.reconcile.is_some()
    }

    /// Whether a step may run, even while files are being read (`is_busy`).
    pub(crate) fn may_show(&self, is_busy: bool) -> bool {
        self.not_before.is_none_or(|earliest| !is_busy || earliest <= Instant::now())
    }

    /// Whether a reconcile step is due.
    pub(crate) fn is_reconcile_due(&self, now: Instant) -> bool {
        passed(self.reconcile, now)
    }

    /// A step begins.
    pub(crate) fn record_begin(&mut self) {
        self.reconcile = None;
    }

    /// A step took this long.
    pub(crate) fn record_end(&mut self, took: Duration) {
        self.not_before = Some(Instant::now() + took * (SHOW_SHARE - 1));
        self.memory_used();
    }

    /// Memory was used that will soon be free.
    pub(crate) fn memory_used(&mut self) {
        self.tidy = sooner(self.tidy, Instant::now() + TIDY);
    }

    /// Something was learned that the cache must store.
    pub(crate) fn learned(&mut self) {
        self.flush = sooner(self.flush, Instant::now() + FLUSH);
    }

    /// The cache could not be written: retries later.
    pub(crate) fn learned_but_unsaved(&mut self) {
        self.flush = sooner(self.flush, Instant::now() + FLUSH_AGAIN);
    }

    /// When the next thing is due. Housekeeping may have to wait (`may_clean`).
    pub(crate) fn deadline(&self, may_clean: bool) -> Option<Instant> {
        let housekeeping = Some(self.housekeeping).filter(|_| may_clean);
        [self.reconcile, self.flush, self.tidy, housekeeping].into_iter().flatten().min()
    }

    /// Whether the cache is to be written now.
    pub(crate) fn take_flush(&mut self, now: Instant) -> bool {
        take(&mut self.flush, now)
    }

    /// Whether freed memory is to be returned now.
    pub(crate) fn take_tidy(&mut self, now: Instant) -> bool {
        take(&mut self.tidy, now)
    }

    /// Whether what is no longer needed is to be removed now.
    pub(crate) fn take_housekeeping(&mut self, now: Instant) -> bool {
        let is_due = self.housekeeping <= now;
        if is_due {
            self.housekeeping = now + HOUSEKEEPING;
        }
        is_due
    }
}

/// Whether `when` has passed; clears it then.
fn take(when: &mut Option<Instant>, now: Instant) -> bool {
    when.take_if(|when| *when <= now).is_some()
}

/// Whether `when` has passed.
pub(crate) fn passed(when: Option<Instant>, now: Instant) -> bool {
    when.is_some_and(|when| when <= now)
}

/// The earlier of two times, if both are set.
pub(crate) fn sooner(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// The current time in seconds since 1970.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
