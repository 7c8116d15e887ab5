//! When to list the GPUs again: a driver or a GPU may appear later.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Gpus;

/// The time between two checks for signs of other GPUs, which query none of them.
const SIGNS: Duration = Duration::from_secs(30);

/// The pause after a first failure; it doubles each time, up to the last.
const FIRST: Duration = Duration::from_secs(2);
const LAST: Duration = Duration::from_secs(60);

/// Decides when to list the GPUs again.
pub(crate) struct LookOut {
    source: Arc<dyn Gpus>,
    /// `None` while they are being listed.
    due: Option<Instant>,
    /// The pause after the next failure.
    pause: Option<Duration>,
}

impl LookOut {
    pub(crate) fn new(source: Arc<dyn Gpus>) -> Self {
        Self { source, due: None, pause: None }
    }

    /// The source of the GPUs.
    pub(crate) fn source(&self) -> Arc<dyn Gpus> {
        self.source.clone()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the GPUs are to be listed now.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        if self.due.take_if(|due| *due <= now).is_none() {
            return false;
        }
        let is_due = self.pause.is_some() || self.source.may_differ();
        if !is_due {
            self.due = Some(now + SIGNS);
        }
        is_due
    }

    /// Records that they were listed, perhaps not all of them.
    pub(crate) fn record(&mut self, has_failed: bool, now: Instant) {
        let next = self.pause.map_or(FIRST, |pause| (pause * 2).min(LAST));
        self.pause = has_failed.then_some(next);
        self.due = Some(now + self.pause.unwrap_or(SIGNS));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use protocol::GpuReading;

    use super::*;
    use crate::gate::{Found, Gpu, Problem};

    #[derive(Default)]
    struct Source(AtomicBool);

    impl Gpus for Source {
        fn list(&self) -> Found {
            Found::default()
        }

        fn may_differ(&self) -> bool {
            self.0.load(Ordering::SeqCst)
        }

        fn read(&self, _: &[Gpu]) -> Result<Vec<GpuReading>, Problem> {
            Ok(Vec::new())
        }

        fn rest(&self) {}
    }

    #[test]
    fn failures_are_tried_again_less_and_less_often_and_signs_looked_for_always() {
        let source = Arc::new(Source::default());
        let mut look_out = LookOut::new(source.clone());
        let start = Instant::now();
        let mut now = start;
        assert!(!look_out.take_due(now), "they are being listed");
        for seconds in [2, 4, 8, 16, 32, 60, 60] {
            look_out.record(true, now);
            now += Duration::from_secs(seconds);
            assert!(!look_out.take_due(now - Duration::from_millis(1)), "{seconds}");
            assert!(look_out.take_due(now), "{seconds}");
        }
        look_out.record(false, now);
        for _ in 0..3 {
            now += SIGNS;
            assert_eq!(look_out.due(), Some(now));
            assert!(!look_out.take_due(now), "there are no signs");
        }
        source.0.store(true, Ordering::SeqCst);
        now += SIGNS;
        assert!(look_out.take_due(now));
        look_out.record(true, now);
        assert_eq!(look_out.due(), Some(now + FIRST), "it begins anew");
    }
}
