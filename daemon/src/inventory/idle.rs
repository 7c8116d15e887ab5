//! Runs work at the lowest priority, on the CPU and on disks.

use std::sync::LazyLock;

use rayon::{ThreadPool, ThreadPoolBuilder};
/// `None` if no threads can be created.
static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    let pool = ThreadPoolBuilder::new()
        .thread_name(|number| format!("idle-{number}"))
        .start_handler(|_| limits::lower_thread());
    pool.build().ok()
});

/// Runs it on threads with the lowest priority, as many as there are cores.
pub(super) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match &*POOL {
        Some(pool) => pool.install(work),
        None => work(),
    }
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
