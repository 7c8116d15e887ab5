use std::fs;

use limits::NICE;
use rustix::process::setsid;

/// Gives this process the lowest CPU and disk priority. Call it before starting any thread.
///
/// Where the kernel shares the CPU out by session (autogroup, as on most desktops), nice values only count
/// within a session, so the worker starts one of its own and makes that nice too. Errors are ignored: they
/// only make the worker less polite.
pub(super) fn lower() {
    if !limits::gives_way() {
        return;
    }
    // Fails if this process leads a session already.
    if setsid().is_ok() {
        let _ = fs::write("/proc/self/autogroup", NICE.to_string());
    }
    limits::lower_thread();
}
