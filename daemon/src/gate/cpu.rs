//! How busy the CPU is with other work than ours.

use procfs::{CpuTime, CurrentSI, KernelStats};

/// The CPU's use between one look and the next, from `/proc/stat`.
///
/// The load average would count the worker too, and for minutes after its end. The times in
/// `/proc/stat` are apart by priority: the worker runs at the least, as `nice`, and so is left out.
#[derive(Debug, Default)]
pub struct Cpu {
    before: Option<Times>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    /// Ticks in which work of normal or higher priority ran.
    busy: u64,
    /// All ticks, of all cores.
    all: u64,
}

impl Cpu {
    /// Percent of all cores that was used since the last call by work of normal priority. `None` the
    /// first time, and where the system does not say.
    pub fn others_percent(&mut self) -> Option<u32> {
        let now = KernelStats::current().ok().map(|stats| times(&stats.total));
        let before = std::mem::replace(&mut self.before, now);
        percent(before?, now?)
    }

    /// The next call counts as the first.
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
    // The counters of a core that goes off line may run backwards.
    let (busy, all) = (now.busy.saturating_sub(before.busy), now.all.saturating_sub(before.all));
    let percent = (busy * 100).checked_div(all)?.min(100);
    u32::try_from(percent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_time_between_two_looks() {
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
    fn the_first_look_says_nothing() {
        let mut cpu = Cpu::default();
        assert_eq!(cpu.others_percent(), None);
        assert!(cpu.before.is_some(), "the next one does");
    }
}
