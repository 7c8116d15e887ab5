use std::{fs, path::Path};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

/// Gives up what a build does not need. Call it before starting any thread. Whatever the system does not
/// allow is skipped: it only protects others from this process, so no build fails for lack of it.
pub(super) fn confine() {
    // When memory runs out, the kernel kills this process rather than the user's programs.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    if needs_setuid() {
        eprintln!("the worker keeps network access: CUDA still has to create /dev/nvidia-uvm");
    } else if let Err(error) = leave_network() {
        eprintln!("the worker keeps network access: {error}");
    }
}

/// Whether CUDA will call nvidia-modprobe, whose setuid bit works only in the initial user namespace.
fn needs_setuid() -> bool {
    Path::new("/proc/driver/nvidia").exists() && !Path::new("/dev/nvidia-uvm").exists()
}

/// Moves this process to an empty network namespace. That needs a user namespace, which maps the user and the
/// group to themselves, so access to devices and files stays the same.
fn leave_network() -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    let _ = fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
    let _ = fs::write("/proc/self/setgroups", "deny");
    let _ = fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
    Ok(())
}
