//! When a store that failed is asked again.

use std::time::{Duration, Instant};

/// When a [`Breaker`] opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row after which the store is left alone.
    pub failures: u32,
    /// For how long at first.
    pub first: Duration,
    /// For how long at most: each failed probe doubles it.
    pub longest: Duration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failures: 3, first: Duration::from_secs(30), longest: Duration::from_secs(600) }
    }
}

/// Keeps a store that fails from being asked too often. It has no clock: whoever asks says what time it is.
#[derive(Clone, Debug)]
pub struct Breaker {
    limits: BreakerLimits,
}

impl Breaker {
    /// A breaker of a store that was not asked yet.
    pub fn new(limits: BreakerLimits) -> Self {
        Self { limits }
    }

    /// Whether the store may be asked now. When it was left alone for long enough, the first to ask is the probe, and
    /// until that has succeeded or failed nobody else may.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        let _ = (now, self.limits);
        todo!()
    }

    /// The store answered, be it that there is nothing.
    pub fn succeeded(&mut self) {
        todo!()
    }

    /// The store failed to answer.
    pub fn failed(&mut self, now: Instant, reason: impl Into<String>) {
        let _: (Instant, String) = (now, reason.into());
        todo!()
    }

    /// Why the store is left alone, and when it is asked next; `None` while it may be asked.
    pub fn problem(&self) -> Option<(&str, Instant)> {
        todo!()
    }
}
