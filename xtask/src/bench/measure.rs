//! Measures the time and memory of programs.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use crate::process;

/// The cost of running a program.
pub(super) struct Cost {
    pub(super) time: Duration,
    /// Peak memory in bytes, as the kernel counted it.
    pub(super) peak: u64,
}

/// Runs a program, which must succeed, and discards its output.
pub(super) fn cost(command: &mut Command) -> Result<Cost> {
    process::go_on()?;
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let started = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let used = child.wait4().with_context(|| format!("cannot wait for {name}"))?;
    let time = started.elapsed();
    if !used.status.success() {
        bail!("{name} failed ({})", used.status);
    }
    Ok(Cost { time, peak: used.rusage.maxrss })
}

/// The median.
pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The resident memory of a running process, in bytes.
pub(super) fn resident(pid: u32) -> Result<u64> {
    Ok(field(&format!("/proc/{pid}/status"), "VmRSS:")? * 1024)
}

/// The peak resident memory of a running process, in bytes.
pub(super) fn peak(pid: u32) -> Result<u64> {
    Ok(field(&format!("/proc/{pid}/status"), "VmHWM:")? * 1024)
}

/// The bytes that a running process has read by system calls, including from sockets and `/proc`.
pub(super) fn bytes_read(pid: u32) -> Result<u64> {
    field(&format!("/proc/{pid}/io"), "rchar:")
}

fn field(file: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    value.with_context(|| format!("no {name} in {file}"))?.parse().context("not a number")
}

/// The CPU time of a running process, including threads that have ended.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    ticks(&text).map(|ticks| Duration::from_millis(ticks * 1000 / tick_rate())).context(file)
}

fn tick_rate() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// User plus system time. The process's name before them may contain spaces and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_after_any_name() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 700 77 0 0 20 0 4 0";
        assert_eq!(ticks(stat), Some(777));
        assert_eq!(ticks("42"), None);
    }

    #[test]
    fn our_own_figures_can_be_read() {
        let pid = std::process::id();
        assert!(resident(pid).unwrap() > 0);
        assert!(cpu_time(pid).is_ok());
        let before = bytes_read(pid).unwrap();
        fs::read("/proc/self/cmdline").unwrap();
        assert!(bytes_read(pid).unwrap() > before);
    }

    #[test]
    fn the_median_ignores_an_outlier() {
        let times = [1, 900, 2].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(2));
    }
}
