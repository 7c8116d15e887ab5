//! A GPU that reports use by nobody, and always the same: some drivers do so for good, and a wait for it would never
//! end.

use std::time::Duration;

/// A figure by nobody that has not changed for so long is none.
pub(crate) const STUCK: Duration = Duration::from_secs(60);

/// The figure of one GPU.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stuck(Option<(u32, Duration)>);

impl Stuck {
    /// Takes in what the GPU reports `by_nobody` at `now`; since when it has been the same, once that is long enough
    /// to mean nothing.
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

    /// Somebody was seen there: what was reported before means nothing any more.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
