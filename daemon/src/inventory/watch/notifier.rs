use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::Metadata,
    mem,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use rustix::{
    event::Timespec,
    fs::inotify::{Event, ReadFlags, WatchFlags},
    io::Errno,
};
use tracing::warn;

use crate::inventory::watch::{
    hint::Hint,
    instance::{Instance, Listener},
    limits,
    moves::Moves,
};

/// The buffer's size: enough for many events.
const BUFFER: usize = 64 << 10;

/// The events that lead to a look. Reads are not among them: the daemon would wake itself.
const EVENTS: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The folders of each watch: one may have several paths.
type Paths = Arc<Mutex<HashMap<i32, Vec<PathBuf>>>>;

/// Watches folders with inotify until it is dropped.
pub struct Notifier {
    /// Or why nothing can be watched.
    inotify: Result<Instance, String>,
    watched: HashMap<PathBuf, Watch>,
    paths: Paths,
    round: u64,
    /// The number of folders that could not be watched in this round.
    left_out: usize,
}

struct Watch {
    folder: FolderId,
    descriptor: i32,
    /// The last round in which the folder was seen.
    round: u64,
}

/// What distinguishes a folder from another that replaces it, perhaps with the same inode.
#[derive(Debug, PartialEq, Eq)]
struct FolderId {
    device: u64,
    inode: u64,
    /// Absent on file systems that don't record it.
    created: Option<SystemTime>,
}

impl From<&Metadata> for FolderId {
    fn from(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), created: metadata.created().ok() }
    }
}

impl Notifier {
    /// Calls `hear` on a thread of its own once folders are watched.
    pub fn new(hear: impl Fn(Hint) + Send + 'static) -> Self {
        let paths = Paths::default();
        let heard = HintListener { moves: Moves::default(), paths: paths.clone(), hear };
        let inotify = Instance::open(BUFFER, heard).inspect_err(|problem| warn!("{problem}"));
        let watched = HashMap::new();
        Self { inotify, watched, paths, round: 0, left_out: 0 }
    }

    /// Watches the folder at `path`, unless it is watched already. Call this before listing the folder: what
    /// comes in between is then seen twice instead of not at all.
    pub fn watch(&mut self, path: &Path, metadata: &Metadata) {
        let Ok(inotify) = &self.inotify else {
            self.left_out += 1;
            return;
        };
        let folder = FolderId::from(metadata);
        if let Some(watch) = self.watched.get_mut(path).filter(|watch| watch.folder == folder) {
            watch.round = self.round;
            return;
        }
        // Another folder lies here now: what the old one tells from now on is not of this path. Its watch stays,
        // as it may lie elsewhere.
        if let Some(watch) = self.watched.remove(path) {
            self.unlabel(path, watch.descriptor);
        }
        match inotify.add(path, EVENTS) {
            Ok(descriptor) => {
                let mut paths = lock(&self.paths);
                let paths = paths.entry(descriptor).or_default();
                if !paths.iter().any(|known| known == path) {
                    paths.push(path.to_owned());
                }
                let watch = Watch { folder, descriptor, round: self.round };
                self.watched.insert(path.to_owned(), watch);
            }
            // No watches, or no memory for them, are left.
            Err(Errno::NOSPC | Errno::NOMEM) => self.left_out += 1,
            // It is gone or unreadable: listing it will show that.
            Err(_) => {}
        }
    }

    /// Ends a round in which every folder was shown to [`Self::watch`]: those that were not are watched
    /// no more. Returns what is wrong with watching, if anything is; `others` are watched beside these.
    pub fn finish(&mut self, others: usize) -> Option<Unwatched> {
        let gone = self.watched.extract_if(|_, watch| watch.round != self.round);
        for (path, watch) in gone.collect::<Vec<_>>() {
            self.unlabel(&path, watch.descriptor);
        }
        // A folder that moved has the same watch under its new path, which stays.
        for (descriptor, _) in lock(&self.paths).extract_if(|_, paths| paths.is_empty()) {
            if let Ok(inotify) = &self.inotify {
                inotify.remove(descriptor);
            }
        }
        self.round += 1;
        let left_out = mem::take(&mut self.left_out);
        let problem = match &self.inotify {
            Ok(_) => {
                let watched = self.watched.len() + others;
                limits::problem(watched, left_out, limits::max_user_watches())
            }
            Err(problem) => Some(problem.clone()),
        };
        problem.map(|problem| Unwatched { problem, folders: left_out })
    }

    /// How many folders are watched.
    pub(super) fn count(&self) -> usize {
        self.watched.len()
    }

    /// This watch is no longer of the folder at this path.
    fn unlabel(&self, path: &Path, descriptor: i32) {
        if let Some(paths) = lock(&self.paths).get_mut(&descriptor) {
            paths.retain(|other| other != path);
        }
    }
}

/// A problem with watching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    /// What happened and what to do.
    pub problem: String,
    /// The number of folders that must be polled instead.
    pub folders: usize,
}

fn lock(paths: &Paths) -> std::sync::MutexGuard<'_, HashMap<i32, Vec<PathBuf>>> {
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns inotify's events into hints.
struct HintListener<F> {
    moves: Moves,
    paths: Paths,
    hear: F,
}

impl<F: Fn(Hint) + Send + 'static> Listener for HintListener<F> {
    fn hear(&mut self, event: &Event<'_>) {
        let folder = || lock(&self.paths).get(&event.wd())?.first().cloned();
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        let hints = self.moves.take(event.events(), event.cookie(), name, &folder);
        hints.into_iter().for_each(&self.hear);
        if event.events().contains(ReadFlags::IGNORED) {
            lock(&self.paths).remove(&event.wd());
        }
    }

    fn patience(&self) -> Option<&'static Timespec> {
        self.moves.patience()
    }

    fn silence(&mut self) {
        self.moves.give_up().for_each(&self.hear);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::*;

    /// What has not come by then will not come.
    const PATIENCE: Duration = Duration::from_secs(20);

    struct Heard(mpsc::Receiver<Hint>);

    impl Heard {
        fn notifier() -> (Notifier, Self) {
            let (sender, hints) = mpsc::channel();
            (Notifier::new(move |hint| drop(sender.send(hint))), Self(hints))
        }

        /// The next hint, if one comes by then.
        fn before(&self, end: Instant) -> Result<Hint, mpsc::RecvTimeoutError> {
            self.0.recv_timeout(end.saturating_duration_since(Instant::now()))
        }

        fn writing(&self, path: &Path) {
            fs::write(path, "x").unwrap();
            let written = Hint::Written(path.to_owned());
            let end = Instant::now() + PATIENCE;
            while self.before(end).expect("no such event came") != written {}
        }
    }

    fn look(notifier: &mut Notifier, folders: &[&Path]) {
        for folder in folders {
            notifier.watch(folder, &fs::metadata(folder).unwrap());
        }
        assert_eq!(notifier.finish(0), None);
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

    /// Whatever way two folders change places, each is heard of by the path that it has then.
    #[test]
    fn folders_that_change_places_are_watched_under_their_new_paths() {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let exchange = |one: &Path, other: &Path| {
            renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
        };
        let by_turns = |one: &Path, other: &Path| {
            let aside = one.with_extension("aside");
            fs::rename(one, &aside).unwrap();
            fs::rename(other, one).unwrap();
            fs::rename(aside, other).unwrap();
        };
        type Way<'a> = &'a dyn Fn(&Path, &Path);
        let ways: [Way<'_>; 2] = [&exchange, &by_turns];
        for (number, way) in ways.iter().enumerate() {
            let root = tempfile::tempdir().unwrap();
            let (one, other) = (root.path().join("one"), root.path().join("other"));
            let folders = || {
                [one.clone(), one.join("sub"), other.clone(), other.join("sub")].map(|folder| {
                    fs::create_dir_all(&folder).unwrap();
                    folder
                })
            };
            let (mut notifier, heard) = Heard::notifier();
            look(&mut notifier, &folders().each_ref().map(PathBuf::as_path));
            way(&one, &other);
            look(&mut notifier, &folders().each_ref().map(PathBuf::as_path));
            for folder in folders() {
                let labels = lock(&notifier.paths);
                let labels: Vec<_> =
                    labels.values().filter(|paths| paths.contains(&folder)).cloned().collect();
                assert_eq!(labels, [vec![folder.clone()]], "way {number}");
            }
            for folder in folders() {
                heard.writing(&folder.join("a.safetensors"));
            }
        }
    }

    #[test]
    fn what_is_dropped_hears_and_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut notifier, heard) = Heard::notifier();
        look(&mut notifier, &[dir.path()]);
        let inotify = notifier.inotify.as_ref().unwrap().descriptor();
        drop(notifier);
        // The thread had the only sender.
        let end = Instant::now() + PATIENCE;
        let end = loop {
            if let Err(error) = heard.before(end) {
                break error;
            }
        };
        assert_eq!(end, mpsc::RecvTimeoutError::Disconnected, "its thread goes on");
        assert!(inotify.upgrade().is_none(), "and with it all watches");
    }
}
