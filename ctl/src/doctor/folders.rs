//! Folders, what may be watched, and room.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use config::{ByteSize, Config};
use rustix::fs::{Access, access, statvfs};
use walkdir::WalkDir;

use super::Finding;
use crate::render::text;

/// What the engine of an SDXL checkpoint takes, roughly.
const ENGINE_BYTES: u64 = 5_500_000_000;

/// How long a models folder may take to answer: a disk that was asleep needs less.
const ANSWER: Duration = Duration::from_secs(10);

/// Folders are counted up to here: more take too long, and show the problem as well.
const MOST_FOLDERS: usize = 2_000_000;

/// `is_own`: this user's daemon is meant; what the system's may write, others may not.
pub(super) fn all(config: &Config, is_own: bool) -> Vec<Finding> {
    let looked = config.models_dirs.iter().map(|dir| (dir, look(dir.clone(), ANSWER)));
    let looked: Vec<_> = looked.collect();
    let mut findings: Vec<_> =
        looked.iter().map(|(dir, found)| models(dir, found.as_ref())).collect();
    if is_own {
        findings.push(data(&config.data_dir));
        findings.push(socket(&config.socket));
    }
    if !config.models_dirs.is_empty() {
        let answering = looked.iter().filter(|(_, found)| found.is_some());
        let folders = answering.map(|(dir, _)| count(dir)).sum();
        findings.push(watches(folders, number("/proc/sys/fs/inotify/max_user_watches")));
    }
    findings.push(instances(number("/proc/sys/fs/inotify/max_user_instances")));
    let place = nearest_existing(&config.data_dir);
    let free = statvfs(&place).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    findings.push(disk(&place, free.map_err(io::Error::from), config.min_free));
    findings
}

/// Whether a folder can be listed; `None` if it does not say so in time. A disk that hangs would hold up the caller for
/// ever.
fn look(dir: PathBuf, patience: Duration) -> Option<io::Result<()>> {
    let (sender, answer) = mpsc::sync_channel(1);
    thread::spawn(move || drop(sender.send(fs::read_dir(dir).map(drop))));
    answer.recv_timeout(patience).ok()
}

fn models(dir: &Path, found: Option<&io::Result<()>>) -> Finding {
    const TOPIC: &str = "models folder";
    let shown = dir.display().to_string();
    match found {
        None => Finding::bad(
            TOPIC,
            format!("{shown} does not answer: its disk hangs, or its server is away"),
            "check the disk or its server; sdtrtd goes on without it, and uses it again once it answers",
        ),
        Some(Ok(())) => Finding::ok(TOPIC, shown),
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Finding::warning(
            TOPIC,
            format!("{shown} does not exist"),
            "mount its disk, or choose another with `sdtrtctl config edit`",
        ),
        Some(Err(error)) => Finding::bad(
            TOPIC,
            format!("{shown} can't be read: {error}"),
            "let sdtrtd's user read it, for example with `setfacl -R -m u:USER:rX DIR`",
        ),
    }
}

fn data(dir: &Path) -> Finding {
    const TOPIC: &str = "data folder";
    let place = nearest_existing(dir);
    if access(&place, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_ok() {
        Finding::ok(TOPIC, dir.display().to_string())
    } else {
        let found = format!("this user can't write to {}", place.display());
        let advice = "`sudo chown -R USER DIR` with sdtrtd's user, or choose another `data_dir`";
        Finding::bad(TOPIC, found, advice)
    }
}

fn socket(path: &Path) -> Finding {
    const TOPIC: &str = "socket";
    let parent = path.parent().map_or_else(PathBuf::new, nearest_existing);
    let is_there = path.exists();
    if is_there || access(&parent, Access::WRITE_OK).is_ok() {
        return Finding::ok(TOPIC, path.display().to_string());
    }
    let found = format!("this user can't create {}", path.display());
    Finding::warning(TOPIC, found, "set `socket`, or log in so that XDG_RUNTIME_DIR is set")
}

fn watches(folders: usize, most: Option<u64>) -> Finding {
    const TOPIC: &str = "inotify watches";
    let Some(most) = most else { return Finding::ok(TOPIC, "no limit") };
    let found = format!("{folders} folders, limit {most}");
    // Other programs of the same user count as well.
    if (folders as u64) < most / 2 {
        Finding::ok(TOPIC, found)
    } else {
        Finding::warning(
            TOPIC,
            found,
            "changes may appear only at the next full scan; \
             `echo fs.inotify.max_user_watches=1048576 | sudo tee /etc/sysctl.d/60-inotify.conf && \
             sudo sysctl --system`",
        )
    }
}

fn instances(most: Option<u64>) -> Finding {
    const TOPIC: &str = "inotify instances";
    let used = File::open("/proc/self").is_ok().then(used_instances);
    match (most, used) {
        (Some(most), Some(used)) if used + 8 > most => Finding::warning(
            TOPIC,
            format!("{used} of {most} in use"),
            "`echo fs.inotify.max_user_instances=1024 | sudo tee /etc/sysctl.d/60-inotify.conf && \
             sudo sysctl --system`",
        ),
        (Some(most), used) => Finding::ok(TOPIC, format!("{} of {most}", used.unwrap_or(0))),
        (None, _) => Finding::ok(TOPIC, "no limit"),
    }
}

/// Those of this user's processes.
fn used_instances() -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let descriptors = processes.flat_map(|process| {
        fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten()
    });
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.as_os_str() == "anon_inode:inotify").count() as u64
}

fn disk(place: &Path, free: io::Result<u64>, min_free: ByteSize) -> Finding {
    const TOPIC: &str = "disk";
    let free = match free {
        Ok(free) => free,
        Err(error) => {
            let found = format!("{}: {error}", place.display());
            return Finding::bad(TOPIC, found, "mount it, or choose another `data_dir`");
        }
    };
    let found = format!("{} free at {}", text::size(free), place.display());
    if free >= min_free.as_u64().saturating_add(ENGINE_BYTES) {
        Finding::ok(TOPIC, found)
    } else {
        Finding::warning(
            TOPIC,
            found,
            "an engine takes 1.8 GB (SD) to 5.2 GB (SDXL); `sdtrtctl disk` shows what uses the space, \
             `sdtrtctl gc` frees some, or move `data_dir`",
        )
    }
}

fn count(dir: &Path) -> usize {
    let entries = WalkDir::new(dir).follow_links(true).into_iter().flatten();
    entries.filter(|entry| entry.file_type().is_dir()).take(MOST_FOLDERS).count()
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn nearest_existing(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn limits_are_told_before_they_bite() {
        let models_at = |dir: &str| {
            let found = look(dir.into(), ANSWER * 60);
            models(Path::new(dir), found.as_ref())
        };
        let free = |bytes| disk(Path::new("/d"), Ok(bytes), ByteSize::mb(500)).verdict;
        for (found, expected) in [
            (watches(499, Some(1000)).verdict, Verdict::Ok),
            (watches(500, Some(1000)).verdict, Verdict::Warning),
            (watches(1 << 30, None).verdict, Verdict::Ok),
            (free(6_000_000_000), Verdict::Ok),
            (free(5_999_999_999), Verdict::Warning),
            (instances(Some(0)).verdict, Verdict::Warning),
            (models_at("/nonexistent").verdict, Verdict::Warning),
            (models_at("/etc/passwd").verdict, Verdict::Bad),
            (models_at("/").verdict, Verdict::Ok),
            (models(Path::new("/m"), None).verdict, Verdict::Bad),
            (socket(&Path::new("/tmp").join("x/".repeat(60))).verdict, Verdict::Ok),
        ] {
            assert_eq!(found, expected);
        }
    }
}
