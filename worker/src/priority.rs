use std::fs;

use rustix::process::{setpriority_process, setsid};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The least of Linux.
const NICE: i32 = 19;

/// Lets everybody else go first, on the CPU and on disks. It must come before all other threads.
///
/// Where the kernel groups processes by session to share the CPU out, as on most desktops,
/// priorities count within a session only: so the worker gets one of its own that is as nice.
/// What the system does not allow is left out, as it only makes us less polite.
pub(super) fn lower() {
    // Fails for whoever leads a session already.
    if setsid().is_ok() {
        let _ = fs::write("/proc/self/autogroup", NICE.to_string());
    }
    lower_thread();
}

/// For this thread and those that it starts.
///
/// `SCHED_IDLE` gives back what nice 19 would still take from others (1.5 % of a core), and has the
/// kernel treat reads and writes as of the idle class too, unless another was set for us. Nice 19
/// beside it is what `/proc/stat` tells our work from others' by.
fn lower_thread() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    let _ = setpriority_process(None, NICE);
}

#[cfg(test)]
mod tests {
    use procfs::process::Process;

    use super::*;

    /// `SCHED_IDLE` in Linux's `sched.h`.
    const IDLE: u32 = 5;

    #[test]
    fn what_runs_after_is_least() {
        let scheduling = || {
            let thread = rustix::thread::gettid().as_raw_nonzero().get();
            let stat = Process::myself().unwrap().task_from_tid(thread).unwrap().stat().unwrap();
            (stat.nice, stat.policy)
        };
        std::thread::spawn(move || {
            lower_thread();
            assert_eq!(scheduling(), (19, Some(IDLE)));
            let started = std::thread::spawn(scheduling);
            assert_eq!(started.join().unwrap(), (19, Some(IDLE)));
        })
        .join()
        .unwrap();
        assert_ne!(scheduling().1, Some(IDLE), "only the worker's own threads");
    }
}
