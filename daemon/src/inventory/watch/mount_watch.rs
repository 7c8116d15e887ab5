use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, PipeReader, PipeWriter},
    path::PathBuf,
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use tracing::warn;

use super::mount_table::{MOUNTINFO, MountTable};

/// Hears of every mount and unmount, until it is dropped: inotify tells nothing of a disk that comes or goes
/// under a folder.
pub(crate) struct MountWatch {
    /// Ends the thread that listens when it goes.
    _listening: Option<PipeWriter>,
}

impl MountWatch {
    /// Calls `hear` on a thread of its own with the places where something else is mounted now.
    pub(crate) fn new(hear: impl Fn(BTreeSet<PathBuf>) + Send + 'static) -> Self {
        let begin = || -> io::Result<PipeWriter> {
            let table = File::open(MOUNTINFO)?;
            let (end, listening) = io::pipe()?;
            thread::Builder::new().spawn(move || listen(&table, &end, &hear))?;
            Ok(listening)
        };
        let listening = begin().map_err(|error| {
            warn!("{MOUNTINFO}: {error}; disks that are mounted show at the next full scan");
        });
        Self { _listening: listening.ok() }
    }
}

fn listen(table: &File, end: &PipeReader, hear: &impl Fn(BTreeSet<PathBuf>)) {
    let mut known = MountTable::read();
    loop {
        let mut both = [PollFd::new(table, PollFlags::PRI), PollFd::new(end, PollFlags::IN)];
        match poll(&mut both, None) {
            Ok(_) if !both[1].revents().is_empty() => return,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => {
                let error = io::Error::from(error);
                return warn!(
                    "{MOUNTINFO}: {error}; disks that are mounted show at the next full scan"
                );
            }
        }
        let now = MountTable::read();
        let changed = now.changed_since(&known);
        known = now;
        if !changed.is_empty() {
            hear(changed);
        }
    }
}
