//! The time that the daemon has lived through.

use std::time::Duration;

use tokio::time::Instant;

use crate::timers::passed;

/// It is kept this often: so much of it is lost with a daemon that is killed.
const KEEP: Duration = Duration::from_secs(3600);

/// Seconds through which the daemon has run, in all its lives. Grace times count these: the machine's clock can be set
/// and jumps over the time for which the machine was off or asleep, and nobody could have brought a file back then.
pub(crate) struct Lifetime {
    before_s: u64,
    born: Instant,
    keep: Option<Instant>,
}

impl Lifetime {
    /// Begins a life after others that took so many seconds together.
    pub(crate) fn new(before_s: u64) -> Self {
        let born = Instant::now();
        Self { before_s, born, keep: Some(born + KEEP) }
    }

    /// Its length so far.
    pub(crate) fn seconds(&self) -> u64 {
        self.before_s.saturating_add(self.born.elapsed().as_secs())
    }

    /// When it is to be kept.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.keep
    }

    /// Whether it is to be kept now.
    pub(crate) fn take_keep(&mut self, now: Instant) -> bool {
        let is_due = passed(self.keep, now);
        if is_due {
            self.keep = Some(now + KEEP);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lives_add_up() {
        let mut lifetime = Lifetime::new(100);
        advance(Duration::from_secs(50)).await;
        assert_eq!(lifetime.seconds(), 150);
        assert!(!lifetime.take_keep(Instant::now()));
        advance(KEEP).await;
        assert!(lifetime.take_keep(Instant::now()) && !lifetime.take_keep(Instant::now()));
        assert_eq!(Lifetime::new(lifetime.seconds()).seconds(), 150 + KEEP.as_secs());
    }
}
