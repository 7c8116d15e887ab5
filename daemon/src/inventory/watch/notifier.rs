use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::Metadata,
    io,
    io::PipeReader,
    io::PipeWriter,
    mem,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::SystemTime,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};
use tracing::warn;

use crate::inventory::watch::limits;

/// Why it is time to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// This file was written to.
    Written(PathBuf),
    /// Something came, went or moved, or events were lost: only a scan tells.
    Moved,
}

/// Room for many events at once.
const BUFFER: usize = 64 << 10;

/// What leads to a look. Reading is not among it: it would have the daemon wake itself.
const EVENTS: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Those of them that are about the content of one file.
const WRITES: ReadFlags = ReadFlags::MODIFY.union(ReadFlags::ATTRIB).union(ReadFlags::CLOSE_WRITE);

/// The folders behind each watch: one may be reached by several paths.
type Paths = Arc<Mutex<HashMap<i32, Vec<PathBuf>>>>;

/// Watches folders through inotify, each by itself, until it is dropped.
pub struct Notifier {
    inotify: Result<Arc<OwnedFd>, String>,
    /// Ends the thread that listens when it goes.
    _listening: Option<PipeWriter>,
    watched: HashMap<PathBuf, Watch>,
    paths: Paths,
    round: u64,
    /// Folders that could not be watched in this round.
    left_out: usize,
}

struct Watch {
    folder: Folder,
    descriptor: i32,
    /// The last round in which the folder was seen.
    round: u64,
}

/// What tells a folder from another that takes its place, which may even get its inode.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    device: u64,
    inode: u64,
    /// Absent on file systems that don't keep it.
    created: Option<SystemTime>,
}

impl From<&Metadata> for Folder {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }
}

impl Notifier {
    /// Calls `hear` on a thread of its own once folders are watched.
    pub fn new(hear: impl Fn(Hint) + Send + 'static) -> Self {
        let paths = Paths::default();
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map(Arc::new).map_err(limits::no_inotify);
        let pipe = io::pipe().map_err(|error| format!("cannot listen to inotify: {error}"));
        let (inotify, listening) = match inotify.and_then(|inotify| Ok((inotify, pipe?))) {
            Ok((inotify, (end, listening))) => {
                let (heard, paths) = (inotify.clone(), paths.clone());
                thread::spawn(move || listen(heard, &end, &paths, &hear));
                (Ok(inotify), Some(listening))
            }
            Err(problem) => {
                warn!("{problem}");
                (Err(problem), None)
            }
        };
        let watched = HashMap::new();
        Self { inotify, _listening: listening, watched, paths, round: 0, left_out: 0 }
    }

    /// Watches the folder that lies at `path` now, unless it does already. Call it before listing the
    /// folder: what comes between the two is seen by both, not by neither.
    pub fn watch(&mut self, path: &Path, metadata: &Metadata) {
        let Ok(inotify) = &self.inotify else {
            self.left_out += 1;
            return;
        };
        let folder = Folder::from(metadata);
        if let Some(watch) = self.watched.get_mut(path).filter(|watch| watch.folder == folder) {
            watch.round = self.round;
            return;
        }
        match inotify::add_watch(inotify, path, EVENTS) {
            Ok(descriptor) => {
                let mut paths = lock(&self.paths);
                let paths = paths.entry(descriptor).or_default();
                if !paths.iter().any(|known| known == path) {
                    paths.push(path.to_owned());
                }
                let watch = Watch { folder, descriptor, round: self.round };
                self.watched.insert(path.to_owned(), watch);
            }
            // Out of watches, or of memory for them.
            Err(Errno::NOSPC | Errno::NOMEM) => self.left_out += 1,
            // It went, or may not be read: listing it tells.
            Err(_) => {}
        }
    }

    /// Ends a round in which every folder was shown to [`Self::watch`]: those that were not are watched
    /// no more. Returns what is wrong with watching, if anything is.
    pub fn finish(&mut self) -> Option<Unwatched> {
        let gone = self.watched.extract_if(|_, watch| watch.round != self.round);
        let gone: Vec<_> = gone.map(|(path, watch)| (path, watch.descriptor)).collect();
        for (path, descriptor) in gone {
            self.forget(&path, descriptor);
        }
        self.round += 1;
        let left_out = mem::take(&mut self.left_out);
        let problem = match &self.inotify {
            Ok(_) => limits::problem(self.watched.len(), left_out, limits::max_user_watches()),
            Err(problem) => Some(problem.clone()),
        };
        problem.map(|problem| Unwatched { problem, folders: left_out })
    }

    /// A folder that moved has the same watch under its new path, which stays.
    fn forget(&self, path: &Path, descriptor: i32) {
        let mut paths = lock(&self.paths);
        let Some(others) = paths.get_mut(&descriptor) else { return };
        others.retain(|other| other != path);
        if others.is_empty() {
            paths.remove(&descriptor);
            if let Ok(inotify) = &self.inotify {
                // It went with its folder, usually.
                let _ = inotify::remove_watch(inotify, descriptor);
            }
        }
    }
}

/// What is wrong with watching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    /// What happened and what to do.
    pub problem: String,
    /// So many folders have to be looked at instead.
    pub folders: usize,
}

fn lock(paths: &Paths) -> std::sync::MutexGuard<'_, HashMap<i32, Vec<PathBuf>>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hears what `inotify` tells until the other side of `end` goes.
fn listen(inotify: Arc<OwnedFd>, end: &PipeReader, paths: &Paths, hear: &impl Fn(Hint)) {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut reader = Reader::new(&inotify, &mut buffer);
    loop {
        if reader.is_buffer_empty() {
            let mut both = [PollFd::new(&inotify, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
            match poll(&mut both, None) {
                Ok(_) if !both[1].revents().is_empty() => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return deaf(error),
            }
        }
        match reader.next() {
            Ok(event) => {
                let folder = || lock(paths).get(&event.wd())?.first().cloned();
                if event.events().contains(ReadFlags::IGNORED) {
                    lock(paths).remove(&event.wd());
                }
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                if let Some(hint) = hint_of(event.events(), name, folder) {
                    hear(hint);
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return deaf(error),
        }
    }
}

fn deaf(error: Errno) {
    warn!("inotify: {}; changes show at the next full scan", io::Error::from(error));
}

/// What an event about `name` in a folder means.
fn hint_of(
    events: ReadFlags,
    name: Option<&OsStr>,
    folder: impl FnOnce() -> Option<PathBuf>,
) -> Option<Hint> {
    if events.contains(ReadFlags::IGNORED) {
        return None;
    }
    if !events.intersects(WRITES) {
        return Some(Hint::Moved);
    }
    let name = name.filter(|name| checkpoint::is_checkpoint_name(Path::new(name)))?;
    Some(folder().map_or(Hint::Moved, |folder| Hint::Written(folder.join(name))))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn events_become_hints() {
        let written = || Some(Hint::Written("/m/a.safetensors".into()));
        let (file, other) = (Some("a.safetensors"), Some("a.png"));
        for (events, name, hint) in [
            (ReadFlags::MODIFY, file, written()),
            (ReadFlags::CLOSE_WRITE, file, written()),
            (ReadFlags::ATTRIB, file, written()),
            (ReadFlags::MODIFY, other, None),
            (ReadFlags::ATTRIB | ReadFlags::ISDIR, None, None),
            (ReadFlags::CREATE, file, Some(Hint::Moved)),
            (ReadFlags::CREATE | ReadFlags::ISDIR, Some("folder"), Some(Hint::Moved)),
            (ReadFlags::MOVED_FROM, file, Some(Hint::Moved)),
            (ReadFlags::MOVE_SELF, None, Some(Hint::Moved)),
            (ReadFlags::UNMOUNT, None, Some(Hint::Moved)),
            (ReadFlags::QUEUE_OVERFLOW, None, Some(Hint::Moved)),
            (ReadFlags::IGNORED, None, None),
        ] {
            let found = hint_of(events, name.map(OsStr::new), || Some("/m".into()));
            assert_eq!(found, hint, "{events:?} {name:?}");
        }
        let unknown = hint_of(ReadFlags::MODIFY, file.map(OsStr::new), || None);
        assert_eq!(unknown, Some(Hint::Moved));
    }

    /// What has not come by then will not come.
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Heard(mpsc::Receiver<Hint>);

    impl Heard {
        fn notifier() -> (Notifier, Self) {
            let (sender, hints) = mpsc::channel();
            (Notifier::new(move |hint| drop(sender.send(hint))), Self(hints))
        }

        fn writing(&self, path: &Path) {
            fs::write(path, "x").unwrap();
            let hint = || self.0.recv_timeout(PATIENCE).expect("no event came");
            while hint() != Hint::Written(path.to_owned()) {}
        }
    }

    fn look(notifier: &mut Notifier, folders: &[&Path]) {
        for folder in folders {
            notifier.watch(folder, &fs::metadata(folder).unwrap());
        }
        assert_eq!(notifier.finish(), None);
    }

    #[test]
    fn a_folder_that_comes_back_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("models");
        let (mut notifier, heard) = Heard::notifier();
        for _ in 0..2 {
            fs::create_dir(&dir).unwrap();
            look(&mut notifier, &[&dir]);
            heard.writing(&dir.join("a.safetensors"));
            fs::remove_dir_all(&dir).unwrap();
        }
    }

    #[test]
    fn a_folder_that_moves_is_watched_under_its_new_path() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("one"), root.path().join("other"));
        let (mut notifier, heard) = Heard::notifier();
        fs::create_dir(&one).unwrap();
        look(&mut notifier, &[&one]);
        fs::rename(&one, &other).unwrap();
        look(&mut notifier, &[&other]);
        heard.writing(&other.join("a.safetensors"));
        // A link to it shares the watch, and leaves it when it goes.
        std::os::unix::fs::symlink(&other, &one).unwrap();
        look(&mut notifier, &[&other, &one]);
        fs::remove_file(&one).unwrap();
        look(&mut notifier, &[&other]);
        heard.writing(&other.join("a.safetensors"));
    }

    #[test]
    fn what_is_dropped_hears_and_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut notifier, heard) = Heard::notifier();
        look(&mut notifier, &[dir.path()]);
        let inotify = Arc::downgrade(notifier.inotify.as_ref().unwrap());
        drop(notifier);
        // The thread had the only sender.
        let end = loop {
            if let Err(error) = heard.0.recv_timeout(PATIENCE) {
                break error;
            }
        };
        assert_eq!(end, mpsc::RecvTimeoutError::Disconnected, "its thread goes on");
        assert!(inotify.upgrade().is_none(), "and with it all watches");
    }
}
