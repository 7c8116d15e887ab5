//! Detects a GPU that always reports the same use without a process: some drivers do so forever, and waiting
//! for it would never end.

use std::time::Duration;

/// After this long without a change, such a figure is ignored.
pub(crate) const STUCK: Duration = Duration::from_secs(60);

/// The figure of one GPU.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stuck(Option<(u32, Duration)>);

impl Stuck {
    /// Records the use that the GPU reports `by_nobody` at `now`; returns since when it has been the same,
    /// once that is long enough to ignore it.
    pub(crate) fn take(&mut self, by_nobody: Option<u32>, now: Duration) -> Option<Duration> {
        let percent = by_nobody?;
        match self.0 {
            Some((before, since)) if before == percent => {
                (now.saturating_sub(since) >= STUCK).then_some(since)
            }
            _ => {
                self.0 = Some((percent, now));
                None
            }
        }
    }

    /// A process was seen there: earlier figures no longer count.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
