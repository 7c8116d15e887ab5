use std::fs;

use rustix::process::{setpriority_process, setsid};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The lowest priority in Linux.
const NICE: i32 = 19;

/// Gives this process the lowest CPU and disk priority. Call it before starting any thread.
///
/// Where the kernel shares the CPU out by session (autogroup, as on most desktops), nice values only count
/// within a session, so the worker starts one of its own and makes that nice too. Errors are ignored: they
/// only make the worker less polite.
pub(super) fn lower() {
    // Fails if this process leads a session already.
    if setsid().is_ok() {
        let _ = fs::write("/proc/self/autogroup", NICE.to_string());
    }
    lower_thread();
}

/// Lowers this thread and those that it starts.
///
/// `SCHED_IDLE` frees the 1.5 % of a core that nice 19 would still take from others, and has the kernel treat
/// reads and writes as idle class unless another was set. Nice 19 is still needed: `/proc/stat` counts nice
/// time apart, which is how the gate tells the worker's load from others'.
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
    fn threads_started_afterwards_have_the_lowest_priority() {
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
