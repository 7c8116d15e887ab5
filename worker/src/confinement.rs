use std::{fs, path::Path};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};

/// Takes from this process what a build does not need. It must come before all other threads. What the
/// system does not allow is left out: it protects others from us, and no build fails for want of it.
pub(super) fn confine() {
    // When memory runs out, this is what the kernel ends, and not what somebody works with.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    if needs_setuid() {
        eprintln!("the worker keeps its network, as CUDA has yet to make /dev/nvidia-uvm");
    } else if let Err(error) = leave_network() {
        eprintln!("the worker keeps its network: {error}");
    }
}

/// Whether CUDA will call nvidia-modprobe, which gets its rights in the first user namespace only.
fn needs_setuid() -> bool {
    Path::new("/proc/driver/nvidia").exists() && !Path::new("/dev/nvidia-uvm").exists()
}

/// Into a network of its own with nothing in it. That takes a user namespace, in which the user and
/// the group are the same as before. Devices and files are reached as ever.
fn leave_network() -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    let _ = fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
    let _ = fs::write("/proc/self/setgroups", "deny");
    let _ = fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
    Ok(())
}
