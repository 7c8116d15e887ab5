//! When folders and files are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
    thread::available_parallelism,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::Instant};
use tracing::warn;

use super::{
    FileEvent, Hint, Inventory, Notifier, Stamp, Tell,
    folders::{GATHER, LOOK_AGAIN, ModelsFolder, PATIENCE},
    reading,
    waits::Looks,
    watch::{look_at, open_for_writing},
};
use crate::timers::{passed, sooner};

/// Files read at once: one more than there are cores, which would otherwise wait for the loop after each.
static READERS: LazyLock<usize> =
    LazyLock::new(|| 1 + available_parallelism().map_or(1, usize::from));

/// Once reading takes this long, a look at the models folder tells whether its disk hangs.
const LONG_READ: Duration = Duration::from_secs(30);

/// When to look at single files, and at which.
#[derive(Default)]
pub(super) struct LookSchedule {
    /// Look at [`Self::paths`].
    look: Option<Instant>,
    /// Where something was done to a file, and what.
    paths: BTreeMap<PathBuf, FileChange>,
    /// Nothing is hashed before this time.
    hash: Option<Instant>,
}

/// What was done to a file that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileChange {
    /// It was written to, whatever its size and time are.
    pub(crate) is_written: bool,
    /// It came from another path at which it was seen to leave.
    pub(crate) renamed_from: Option<PathBuf>,
}

/// What lies at a path.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) path: PathBuf,
    /// `None` if no file is there.
    pub(crate) stamp: Option<Stamp>,
    /// How many names it has.
    pub(crate) links: u64,
    pub(crate) cause: FileChange,
}

impl Visit {
    /// Looks there.
    pub(crate) fn at(path: PathBuf, cause: FileChange) -> Self {
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
        let stamp = metadata.as_ref().map(|metadata| Stamp::at(&path, metadata));
        Self { path, stamp, links: metadata.map_or(1, |metadata| metadata.nlink()), cause }
    }

    /// No checkpoint lies there.
    fn nothing(path: PathBuf, cause: FileChange) -> Self {
        Self { path, stamp: None, links: 1, cause }
    }
}

impl LookSchedule {
    /// What could not be hashed is looked at first.
    pub(super) fn hash_later(&mut self) {
        self.hash = Some(Instant::now() + LOOK_AGAIN);
    }
}

/// Files of one models folder that are being read.
pub(super) struct Reading {
    pub(super) dir: Arc<Path>,
    /// Look whether the disk hangs.
    pub(super) due: Option<Instant>,
}

/// A notifier whose hints are told.
pub(super) fn notifier(tell: &Tell, dir: &Arc<Path>) -> Arc<Mutex<Notifier>> {
    let (tell, dir) = (tell.clone(), dir.clone());
    Arc::new(Mutex::new(Notifier::new(move |hint| tell(FileEvent::Hint(dir.clone(), hint)))))
}

impl Inventory {
    /// It is time to look into the models folder `dir`; whether something was learned that is to outlive the daemon.
    pub(crate) fn record_hint(&mut self, dir: &Path, hint: Hint) -> bool {
        let now = Instant::now();
        match hint {
            // At once, as it may have another name by the time that it is looked at.
            Hint::Written(path) => {
                let outdated = self.catalogue.written(&path, now.into_std());
                outdated.iter().for_each(|stamp| self.recall.forget(stamp));
                if outdated.is_some() {
                    self.distrust(&path);
                }
                self.look_at(path, |cause| cause.is_written = true);
                return outdated.is_some();
            }
            Hint::Touched(path) => {
                self.catalogue.touched(&path);
                self.look_at(path, |_| {});
            }
            Hint::Left(path) => self.catalogue.touched(&path),
            Hint::Renamed { from, to } => {
                for (from, to) in self.catalogue.renamed_with(from, to) {
                    self.look_at(to, |cause| cause.renamed_from = Some(from));
                }
            }
            Hint::Unmounted => {
                self.catalogue.unmounted(now.into_std());
                self.record_hint(dir, Hint::Moved);
            }
            Hint::Moved => {
                let folders = self.folders.iter_mut();
                folders
                    .filter(|folder| *folder.dir == *dir)
                    .for_each(|folder| folder.record_moved(now));
            }
        }
        false
    }

    /// Has a look be taken at this path before long.
    pub(super) fn look_at(&mut self, path: PathBuf, note: impl FnOnce(&mut FileChange)) {
        note(self.due.paths.entry(path).or_default());
        self.due.look = sooner(self.due.look, Instant::now() + GATHER);
    }

    /// Something else is mounted at these places.
    pub(crate) fn record_mounts(&mut self, points: &BTreeSet<PathBuf>) {
        let now = Instant::now();
        for folder in &mut self.folders {
            if points.iter().any(|point| folder.scan.concerns(point)) {
                folder.record_moved(now);
            }
        }
    }

    /// The way to the models folder `dir` was looked at.
    pub(crate) fn record_glance(&mut self, dir: &Path, trail: &[(u64, u64)]) {
        let now = Instant::now();
        for folder in self.folders.iter_mut().filter(|folder| *folder.dir == *dir) {
            folder.glancing = false;
            if *folder.scan.trail != *trail {
                folder.record_moved(now);
            }
        }
    }

    /// Has every models folder be looked at now, and returns the number of this survey.
    pub(crate) fn scan_now(&mut self) -> u64 {
        let now = Instant::now();
        self.folders.iter_mut().for_each(|folder| folder.record_due(now));
        self.asked += 1;
        self.asked
    }

    /// When to look next. What is under way tells when it is done; until then its next is not due.
    pub(crate) fn deadline(&self, settle: Duration) -> Option<Instant> {
        let folders = self.folders.iter().filter_map(ModelsFolder::deadline);
        let settled = self.next_settled(settle);
        let settled = settled.map(|next| match self.settling {
            None => next,
            Some(begun) => next.max(begun + PATIENCE),
        });
        let are_done = self.folders.iter().any(ModelsFolder::is_done);
        let awaited =
            self.folders.iter().filter(|_| are_done).filter_map(ModelsFolder::awaited_until);
        let readings =
            self.readings.values().chain(self.hashings.values()).filter_map(|reading| reading.due);
        let times = [
            self.due.look,
            self.due.hash,
            self.name_due.filter(|_| !self.naming),
            settled,
            self.next_comparison(),
            self.next_whole(),
            self.next_poll(),
            self.catalogue.next_put_off().map(Instant::from_std),
        ]
        .into_iter()
        .flatten();
        times.chain(folders).chain(awaited).chain(readings).min().filter(|_| self.looker.is_some())
    }

    /// Begins what is due; whether something begins to be read, or can't be looked at any more.
    pub(crate) fn begin_due(&mut self, now: Instant, settle: Duration) -> bool {
        let has_changed = self.give_up(now) | self.take_in(now);
        self.begin_looks(now);
        if passed(self.due.look, now) {
            self.due.look = None;
            self.look();
        }
        self.poll(now);
        if passed(self.next_comparison(), now) {
            self.compare(now);
        }
        if passed(self.next_settled(settle), now) {
            self.check_settling(now);
        }
        let begins = self.start_reading(now);
        if passed(self.due.hash, now) {
            self.due.hash = None;
        }
        let begins = begins | self.start_hashing(now);
        self.start_naming(now);
        begins | has_changed
    }

    fn next_settled(&self, settle: Duration) -> Option<Instant> {
        let next = Instant::from_std(self.catalogue.next_settled()?);
        Some(next + GATHER.min(settle))
    }

    fn look(&mut self) {
        let mut of: BTreeMap<Arc<Path>, Vec<(PathBuf, FileChange)>> = BTreeMap::new();
        for (path, cause) in mem::take(&mut self.due.paths) {
            of.entry(self.dir_of(&path)).or_default().push((path, cause));
        }
        let hanging: Vec<_> = self.folders.iter().filter(|folder| folder.hangs()).collect();
        of.retain(|dir, _| hanging.iter().all(|folder| folder.dir != *dir));
        for paths in of.into_values() {
            let (tell, dirs, ignored) = (self.tell.clone(), self.dirs(), self.ignored.clone());
            spawn_blocking(move || {
                let look = |(path, cause): (PathBuf, FileChange)| {
                    let is_one = look_at(&path, &dirs, &ignored).is_some();
                    if is_one { Visit::at(path, cause) } else { Visit::nothing(path, cause) }
                };
                tell(FileEvent::Looked(paths.into_iter().map(look).collect()));
            });
        }
    }

    /// Not while nothing can begin to be read: its time may have come.
    fn next_whole(&self) -> Option<Instant> {
        let can_begin =
            self.due.hash.is_none() && self.scans_done() > 0 && self.readings.len() < *READERS;
        self.catalogue.next_whole().map(Instant::from_std).filter(|_| can_begin)
    }

    fn next_comparison(&self) -> Option<Instant> {
        self.catalogue.next_doubt().map(Instant::from_std).filter(|_| !self.comparing)
    }

    fn compare(&mut self, now: Instant) {
        let files = self.catalogue.start_comparing(now.into_std());
        if files.is_empty() {
            return;
        }
        self.comparing = true;
        let (recall, tell) = (self.recall.clone(), self.tell.clone());
        spawn_blocking(move || tell(FileEvent::Compared(reading::compare(files, &*recall))));
    }

    /// Finds out who has files open whose time to settle is up. One may be on a disk that hangs, and so may the
    /// answer: then time alone decides.
    fn check_settling(&mut self, now: Instant) {
        match self.settling {
            None => {
                let due = self.catalogue.due(now.into_std());
                self.settling = Some(now);
                let (tell, dirs) = (self.tell.clone(), self.dirs());
                spawn_blocking(move || {
                    let writers = open_for_writing();
                    let mut looks = Looks::new(&dirs, &writers);
                    let look = |(stamp, paths): (Stamp, Vec<_>)| (stamp, looks.at(&stamp, &paths));
                    tell(FileEvent::Settled(due.into_iter().map(look).collect()));
                });
            }
            Some(begun) if now >= begun + PATIENCE => {
                warn!("it can't be found out which files are open for writing: a disk hangs");
                for (stamp, _) in self.catalogue.due(now.into_std()) {
                    self.catalogue.settled(stamp, None, super::now());
                }
            }
            Some(_) => {}
        }
    }

    fn dirs(&self) -> Vec<PathBuf> {
        self.folders.iter().map(|folder| folder.dir.to_path_buf()).collect()
    }

    /// The models folder that a file to be read lies in.
    fn dir_of(&self, path: &Path) -> Arc<Path> {
        owner(&self.folders, path).cloned().unwrap_or_else(|| Path::new("/").into())
    }

    fn start_hashing(&mut self, now: Instant) -> bool {
        if self.due.hash.is_some() || self.scans_done() == 0 {
            return false;
        }
        let files = self.catalogue.start_hashing(Instant::now().into_std());
        let begins = !files.is_empty();
        for file in files {
            let dir = self.dir_of(&file.path);
            let reading = Reading { dir, due: Some(now + LONG_READ) };
            self.hashings.insert(file.path.clone(), reading);
            let (recall, tell) = (self.recall.clone(), self.tell.clone());
            let (peers, may_believe) = (self.peers.clone(), self.may_believe(&file));
            spawn_blocking(move || {
                tell(reading::hash(file, &*recall, peers.as_deref(), may_believe));
            });
        }
        begins
    }

    fn start_reading(&mut self, now: Instant) -> bool {
        let mut begins = false;
        // One file keeps all cores busy, but many small ones only together.
        while self.readings.len() < *READERS {
            let mut files = self.catalogue.start_reading();
            if files.is_empty() {
                files = self.catalogue.start_reading_again(now.into_std());
            }
            let Some(first) = files.first() else { break };
            let dir = self.dir_of(&first.path);
            self.readings_begun += 1;
            let number = self.readings_begun;
            self.readings.insert(number, Reading { dir, due: Some(now + LONG_READ) });
            begins = true;
            let (recall, tell) = (self.recall.clone(), self.tell.clone());
            spawn_blocking(move || tell(FileEvent::Read(number, reading::learn(files, &*recall))));
        }
        begins
    }
}

/// The models folder that `path` belongs to: the innermost that it lies in.
pub(super) fn owner<'a>(folders: &'a [ModelsFolder], path: &Path) -> Option<&'a Arc<Path>> {
    let around = folders.iter().map(|folder| &folder.dir).filter(|dir| path.starts_with(dir));
    around.max_by_key(|dir| dir.as_os_str().len())
}
