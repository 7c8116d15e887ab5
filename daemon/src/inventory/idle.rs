//! Work that lets everybody else go first, on the CPU and on disks.

use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::process::setpriority_process;
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The least of Linux.
const NICE: i32 = 19;

/// `None` where no threads can be had.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let pool = ThreadPoolBuilder::new()
        .thread_name(|number| format!("idle-{number}"))
        .start_handler(|_| lower_thread());
    pool.build().ok()
});

/// Does it on threads of the least priority, as many as there are cores.
pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match &*POOL {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// `SCHED_IDLE` has the kernel treat reads as of the idle class too, unless another was set for us; nice 19 beside
/// it is what `/proc/stat` tells our work from others' by. What the system does not allow is left out, as it only
/// makes us less polite.
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

    fn scheduling() -> (i64, Option<u32>) {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let stat = Process::myself().unwrap().task_from_tid(thread).unwrap().stat().unwrap();
        (stat.nice, stat.policy)
    }

    #[test]
    fn it_is_done_at_the_least_priority_and_nothing_else_is() {
        assert_eq!(run(scheduling), (19, Some(IDLE)));
        assert_ne!(scheduling().1, Some(IDLE));
    }
}
