//! How much of the CPU other programs use.

use procfs::{CpuTime, CurrentSI, KernelStats};

/// The CPU's use between two samples, from `/proc/stat`.
///
/// The load average would include the worker, even for minutes after its end. `/proc/stat` counts the time of
/// low-priority processes apart, as `nice`: the worker is one, and so is left out.
#[derive(Debug, Default)]
pub struct Cpu {
    before: Option<Times>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    /// Ticks with work of normal or higher priority.
    busy: u64,
    /// All ticks, over all cores.
    all: u64,
}

impl Cpu {
    /// Returns the percentage of all cores that work of normal priority has used since the last call. `None`
    /// at the first call, or if the system does not say.
    pub fn others_percent(&mut self) -> Option<u32> {
        let now = KernelStats::current().ok().map(|stats| times(&stats.total));
        let before = std::mem::replace(&mut self.before, now);
        percent(before?, now?)
    }

    /// Makes the next call count as the first.
    pub fn rest(&mut self) {
        self.before = None;
    }
}

fn times(cpu: &CpuTime) -> Times {
    let interrupts = cpu.irq.unwrap_or(0) + cpu.softirq.unwrap_or(0);
    let busy = cpu.user + cpu.system + interrupts;
    let free = cpu.nice + cpu.idle + cpu.iowait.unwrap_or(0) + cpu.steal.unwrap_or(0);
    Times { busy, all: busy + free }
}

fn percent(before: Times, now: Times) -> Option<u32> {
    // When a core goes offline, the counters may decrease.
    let (busy, all) = (now.busy.saturating_sub(before.busy), now.all.saturating_sub(before.all));
    let percent = (busy * 100).checked_div(all)?.min(100);
    u32::try_from(percent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_share_between_two_samples() {
        let at = |busy, all| Times { busy, all };
        for (before, now, expected) in [
            (at(10, 100), at(60, 200), Some(50)),
            (at(10, 100), at(10, 200), Some(0)),
            (at(10, 100), at(110, 200), Some(100)),
            (at(10, 100), at(5, 200), Some(0)),
            (at(10, 100), at(10, 100), None),
        ] {
            assert_eq!(percent(before, now), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn the_first_sample_gives_no_share() {
        let mut cpu = Cpu::default();
        assert_eq!(cpu.others_percent(), None);
        assert!(cpu.before.is_some(), "the next one does");
    }
}
