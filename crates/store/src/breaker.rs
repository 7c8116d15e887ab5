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
    /// In a row, while it is closed.
    failures: u32,
    open: Option<Open>,
}

/// The store is left alone.
#[derive(Clone, Debug)]
struct Open {
    reason: String,
    wait: Duration,
    /// When the next probe may go.
    until: Instant,
    is_probing: bool,
}

impl Breaker {
    /// A breaker of a store that was not asked yet.
    pub fn new(limits: BreakerLimits) -> Self {
        Self { limits, failures: 0, open: None }
    }

    /// Whether the store may be asked now. Once it was left alone for long enough, the first to ask is the probe; nobody
    /// else may before that one has succeeded or failed, or was silent for as long again.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        let Some(open) = &mut self.open else { return true };
        if now < open.until {
            return false;
        }
        open.is_probing = true;
        open.until = now + open.wait;
        true
    }

    /// The store answered, be it that there is nothing or something to refuse.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.open = None;
    }

    /// The store did not answer, and why.
    pub fn failed(&mut self, now: Instant, reason: impl Into<String>) {
        let reason = reason.into();
        match &mut self.open {
            None => {
                self.failures += 1;
                if self.failures >= self.limits.failures {
                    let wait = self.limits.first;
                    self.open = Some(Open { reason, wait, until: now + wait, is_probing: false });
                }
            }
            Some(open) if open.is_probing => {
                let wait = open.wait.saturating_mul(2).min(self.limits.longest);
                *open = Open { reason, wait, until: now + wait, is_probing: false };
            }
            // It was asked before the others had failed.
            Some(_) => {}
        }
    }

    /// Why the store is left alone, and when it may be asked next; `None` if it is not.
    pub fn problem(&self) -> Option<(&str, Instant)> {
        self.open.as_ref().map(|open| (open.reason.as_str(), open.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Step {
        /// Whether it may be asked.
        Ask(bool),
        Succeed,
        Fail,
    }
    use Step::{Ask, Fail, Succeed};

    /// Steps with the second that each happens at; then, in how many seconds it may be asked next.
    fn after(steps: &[(u64, Step)]) -> Option<u64> {
        let start = Instant::now();
        let mut breaker = Breaker::new(BreakerLimits::default());
        let mut now = start;
        for (number, (second, step)) in steps.iter().enumerate() {
            now = start + Duration::from_secs(*second);
            match step {
                Ask(expected) => assert_eq!(breaker.may_ask(now), *expected, "step {number}"),
                Succeed => breaker.succeeded(),
                Fail => breaker.failed(now, format!("reason {number}")),
            }
        }
        breaker.problem().map(|(_, next)| next.duration_since(now).as_secs())
    }

    #[test]
    fn it_opens_waits_longer_each_time_and_closes() {
        assert_eq!(after(&[(0, Ask(true)), (0, Fail), (1, Ask(true)), (1, Fail)]), None);
        let three = || vec![(0, Fail), (1, Fail), (2, Fail)];
        let with =
            |more: Vec<(u64, Step)>| after(&three().into_iter().chain(more).collect::<Vec<_>>());
        assert_eq!(with(vec![]), Some(30));
        // A success between them starts the count again.
        assert_eq!(after(&[(0, Fail), (0, Fail), (0, Succeed), (0, Fail), (0, Fail)]), None);
        // What was asked before changes nothing.
        assert_eq!(with(vec![(20, Fail), (20, Fail), (20, Ask(false))]), Some(12));
        // One probe.
        assert_eq!(with(vec![(31, Ask(false)), (32, Ask(true)), (32, Ask(false))]), Some(30));
        assert_eq!(with(vec![(32, Ask(true)), (33, Succeed), (33, Ask(true))]), None);
        assert_eq!(with(vec![(32, Ask(true)), (33, Fail), (34, Ask(false))]), Some(59));
        // A probe that nobody hears of is not waited for for ever.
        assert_eq!(with(vec![(32, Ask(true)), (61, Ask(false)), (62, Ask(true))]), Some(30));
    }

    #[test]
    fn it_waits_for_ten_minutes_at_most_and_tells_the_last_reason() {
        let start = Instant::now();
        let mut breaker = Breaker::new(BreakerLimits::default());
        (0..3).for_each(|_| breaker.failed(start, "first"));
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let (_, next) = breaker.problem().unwrap();
            waits.push((next - now).as_secs());
            now = next;
            assert!(breaker.may_ask(now));
            breaker.failed(now, "last");
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(breaker.problem().unwrap().0, "last");
    }
}
