//! What a process may use of its machine, which in a container or a service is less than the machine has: the limits
//! of the control groups (version 1 and 2) that it is in, and of those around them. And how it takes only what others
//! leave.

mod group;
mod priority;

use std::{
    fs,
    path::{Path, PathBuf},
};

use group::{Group, Version};
pub use priority::{NICE, gives_way, lower_thread};

/// A limit of memory, and where it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// How many bytes all processes of the group may use.
    pub bytes: u64,
    /// How many of them are not in use, or could be freed at once.
    pub free: u64,
    /// The file that says so, such as `/sys/fs/cgroup/memory.max`.
    pub file: PathBuf,
}

/// A process's limits; absent where the machine is the only one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// The tightest one of memory.
    pub memory: Option<Memory>,
    /// How many cores' time it may use.
    pub cores: Option<f64>,
}

/// The limits of the process `pid`, or of this one.
#[must_use]
pub fn of(pid: Option<u32>) -> Limits {
    at(Path::new("/"), pid)
}

/// The same, with the kernel's files below `root`.
fn at(root: &Path, pid: Option<u32>) -> Limits {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let read = |pid: &str, name: &str| {
        fs::read_to_string(root.join("proc").join(pid).join(name)).unwrap_or_default()
    };
    // Mounts are those that this process sees.
    let (groups, mounts) = (read(&process, "cgroup"), read("self", "mountinfo"));
    let chain = |controller| group::chain(root, &groups, &mounts, controller);
    let memory = chain("memory").into_iter().filter_map(|group| memory(root, &group));
    let cores = chain("cpu").into_iter().filter_map(|group| cores(&group));
    Limits { memory: memory.min_by_key(|memory| memory.bytes), cores: cores.min_by(f64::total_cmp) }
}

/// More than this no machine has: what version 1 writes where there is no limit.
const NO_LIMIT: u64 = 1 << 60;

fn memory(root: &Path, group: &Group) -> Option<Memory> {
    let (files, used, idle): (&[&str], _, _) = match group.version {
        Version::Two => (&["memory.max", "memory.high"], "memory.current", "inactive_file"),
        Version::One => (
            &["memory.limit_in_bytes", "memory.soft_limit_in_bytes"],
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
    };
    let number = |name: &str| fs::read_to_string(group.dir.join(name)).ok()?.trim().parse().ok();
    let limits = files.iter().filter_map(|name| Some((number(name)?, *name)));
    let (bytes, name) = limits.filter(|(bytes, _)| *bytes < NO_LIMIT).min()?;
    let stat = fs::read_to_string(group.dir.join("memory.stat")).unwrap_or_default();
    let mut stat = stat.lines().filter_map(|line| line.split_once(' '));
    let idle = stat.find(|(name, _)| *name == idle).and_then(|(_, bytes)| bytes.parse().ok());
    let used: u64 = number(used).unwrap_or_default();
    let used = used.saturating_sub(idle.unwrap_or_default());
    let file = group.dir.join(name);
    let file = file.strip_prefix(root).map_or(file.clone(), |below| Path::new("/").join(below));
    Some(Memory { bytes, free: bytes.saturating_sub(used), file })
}

fn cores(group: &Group) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(group.dir.join(name)).ok();
    let (quota, period) = match group.version {
        Version::Two => {
            let told = read("cpu.max")?;
            let (quota, period) = told.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        }
        Version::One => (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?),
    };
    // `max`, or -1, is none.
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number > 0);
    Some(f64::from(number(&quota)?) / f64::from(number(&period)?))
}

#[cfg(test)]
mod tests;
