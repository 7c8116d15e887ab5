use std::env;

use rustix::process::setpriority_process;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The lowest priority in Linux.
pub const NICE: i32 = 19;

/// A variable of the environment.
const PRIORITY: &str = "SDTRT_PRIORITY";

/// Whether this program takes only what others leave: not with `SDTRT_PRIORITY=normal`, as the demo has it, where
/// somebody waits for the end.
pub fn gives_way() -> bool {
    env::var_os(PRIORITY).is_none_or(|priority| priority != "normal")
}

/// Gives this thread, and those that it starts, the lowest priority on the CPU and on disks.
///
/// `SCHED_IDLE` frees the 1.5 % of a core that nice 19 would still take from others, and has the kernel treat
/// reads and writes as idle class unless another was set. Nice 19 is still needed: `/proc/stat` counts nice
/// time apart, which is how the gate tells our load from others'. Errors are ignored: they only make us less
/// polite.
///
/// Does nothing where [`gives_way`] says so.
pub fn lower_thread() {
    if !gives_way() {
        return;
    }
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    let _ = setpriority_process(None, NICE);
}

#[cfg(test)]
mod tests {
    use std::{process::Command, thread};

    use procfs::process::Process;

    use super::*;

    /// `SCHED_IDLE` in Linux's `sched.h`.
    const IDLE: u32 = 5;

    fn scheduling() -> (i64, Option<u32>) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let stat = Process::myself().unwrap().task_from_tid(thread).unwrap().stat().unwrap();
        (stat.nice, stat.policy)
    }

    #[test]
    fn threads_started_afterwards_have_the_lowest_priority() {
        let lowered = thread::spawn(|| {
            lower_thread();
            assert_eq!(scheduling(), (i64::from(NICE), Some(IDLE)));
            let started = thread::spawn(scheduling);
            assert_eq!(started.join().unwrap(), (i64::from(NICE), Some(IDLE)));
        });
        lowered.join().unwrap();
        assert_ne!(scheduling().1, Some(IDLE), "only that thread and its own");
    }

    #[test]
    fn nothing_is_lowered_where_somebody_waits() {
        let mut hurried = Command::new(env::current_exe().unwrap());
        hurried.args(["--exact", "--ignored", "priority::tests::hurried"]).env(PRIORITY, "normal");
        let said = String::from_utf8(hurried.output().unwrap().stdout).unwrap();
        assert!(said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "for the test above"]
    fn hurried() {
        // All tests may be run with those that are ignored.
        if gives_way() {
            return;
        }
        lower_thread();
        assert_ne!(scheduling().1, Some(IDLE));
    }
}
