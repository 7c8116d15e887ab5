use std::sync::atomic::{AtomicU64, Ordering};

/// Shows that a look goes on: a disk that hangs answers nothing at all, while a slow one is only slow.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// The disk has answered.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub(crate) fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
