//! How long failures wait.

use std::time::Duration;

use tokio::time::Instant;

use crate::planner::Pause;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(5);

/// The longest pause for what the machine lacks.
pub(super) const OF_THE_MACHINE: Duration = Duration::from_secs(60);

/// The longest pause for what one job lacks.
pub(super) const OF_A_JOB: Duration = Duration::from_secs(600);

/// After this many ends of sdtrtd, a job waits long.
pub(super) const DEADLY: u32 = 3;

/// The first and the longest pause of such a job.
const AFTER_DEATHS: (Duration, Duration) =
    (Duration::from_secs(600), Duration::from_secs(6 * 3600));

/// A pause.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    reason: String,
    tries: u32,
    pub(super) until: Instant,
}

impl Waiting {
    /// The pause after a failure that followed `before`. Simultaneous failures for the same reason count
    /// once.
    pub(super) fn after(before: Option<&Self>, reason: String, longest: Duration) -> Self {
        let now = Instant::now();
        match before {
            Some(before) if before.until > now => Self { reason, ..before.clone() },
            _ => {
                let tries = before.map_or(0, |before| before.tries);
                let until = now + FIRST.saturating_mul(1 << tries.min(16)).min(longest);
                Self { reason, tries: tries.saturating_add(1), until }
            }
        }
    }

    /// The pause after this many ends of sdtrtd. The first times the job is only moved to the end of the
    /// queue.
    pub(super) fn after_deaths(deaths: u32) -> Self {
        let (first, longest) = AFTER_DEATHS;
        let left = match deaths.checked_sub(DEADLY) {
            None => Duration::ZERO,
            Some(more) => first.saturating_mul(1 << more.min(16)).min(longest),
        };
        let reason = format!(
            "sdtrtd itself ended {deaths} times while this was done, perhaps because memory ran out, as a container's \
             limit counts both: all else comes first, and it is tried again about {} min after the start; \
             `sdtrtctl retry` tries at once",
            left.as_secs().div_ceil(60)
        );
        Self { reason, tries: deaths, until: Instant::now() + left }
    }

    pub(super) fn pause(&self) -> Pause {
        let left = self.until.saturating_duration_since(Instant::now());
        Pause { reason: self.reason.clone(), left }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_time_it_waits_longer_and_never_for_good() {
        let mut waiting: Option<Waiting> = None;
        let mut waits = Vec::new();
        for _ in 0..7 {
            let again = Waiting::after(waiting.as_ref(), "why".to_owned(), OF_THE_MACHINE);
            waits.push(again.pause().left.as_secs());
            let beside = Waiting::after(Some(&again), "another".to_owned(), OF_THE_MACHINE);
            assert_eq!(beside.until, again.until, "they failed for the same");
            advance(again.pause().left).await;
            assert!(again.pause().left.is_zero());
            waiting = Some(again);
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_sdtrtd_ended_with_waits_once_that_was_no_accident() {
        let left = |deaths| Waiting::after_deaths(deaths).pause().left.as_secs();
        assert_eq!([1, 2, 3, 4, 5, 99].map(left), [0, 0, 600, 1200, 2400, 21_600]);
    }
}
