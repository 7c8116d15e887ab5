//! What lies in the models folders, and what is known of it.

mod a1111;
mod aliases;
mod catalogue;
mod dirs;
mod folders;
mod idle;
mod learning;
mod looking;
mod names;
mod outcome;
mod patience;
mod peers;
mod polling;
mod reading;
mod recall;
mod rounds;
mod survey;
mod unhashed;
mod verifying;
mod waits;
mod watch;
mod whereabouts;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use checkpoint::{Id, Ids};
use config::{Config, Ignored};
use tokio::time::Instant;

pub use a1111::A1111Hashes;
pub use aliases::Aliases;
pub use catalogue::{Catalogue, Content, File, Held, Sighting};
pub use checkpoint::{FileId, Identity, Stamp};
pub(crate) use looking::{FileChange, Visit};
pub use names::{Names, Said};
pub use outcome::Outcome;
pub(crate) use patience::patiently;
#[cfg(test)]
pub(crate) use peers::samples;
pub(crate) use peers::{Advice, Peers, WholeReading};
pub use reading::Evidence;
pub(crate) use reading::{Compared, Learned, folder_bytes};
pub(crate) use recall::Key;
pub use recall::{ExcerptKey, Known, Recall};
pub(crate) use verifying::verify;
pub use waits::{OPEN_LIMIT, Waits};
pub use watch::{Disk, Hint, Notifier, Scan, Unwatched};
pub use whereabouts::{Home, Homes};
pub(crate) use whereabouts::{MayLie, Whereabouts};

use {
    folders::ModelsFolder,
    watch::{Eyes, Look, MountWatch, Ways},
};

/// What is heard of files.
pub(crate) enum FileEvent {
    /// It is time to look into this models folder.
    Hint(Arc<Path>, Hint),
    /// Something else is mounted at these places.
    Mounts(BTreeSet<PathBuf>),
    /// What was found on the way to this models folder.
    Glanced(Arc<Path>, Vec<(u64, u64)>),
    /// A look of this number found these files.
    Found(u64, Vec<(PathBuf, Stamp)>),
    /// A look of this number is done.
    Scanned(u64, Scan),
    /// Some files were looked at because something was done to them.
    Looked(Vec<Visit>),
    /// The files on this file system were looked at: at these paths something has changed.
    Polled(u64, Vec<PathBuf>, std::time::Duration),
    /// Some files were compared with their excerpts.
    Compared(Vec<Compared>),
    /// These files have had their time to settle, and may still wait for something.
    Settled(Vec<(Stamp, Option<Waits>)>),
    /// Some files, or their headers, were read, in a reading of this number.
    Read(u64, Vec<Learned>),
    /// The rest of a file whose header was known was read.
    Hashed(Learned),
    /// What another machine found when it read the rest of such a file.
    Believed(Learned),
    /// The file at this path is to be hashed, or asked for, only after so long: another machine is reading it.
    PutOff(Arc<Path>, Stamp, Duration),
    /// A checkpoint was read for its names.
    Named,
    /// A1111's caches were read.
    A1111Hashes(Arc<A1111Hashes>),
}

/// Takes what is heard to the loop.
pub(crate) type Tell = Arc<dyn Fn(FileEvent) + Send + Sync>;

/// The models folders: the catalogue of their files, and what is looked at or read right now.
pub(crate) struct Inventory {
    catalogue: Catalogue,
    folders: Vec<ModelsFolder>,
    /// Models folders no more, whose disks hang: not to be asked once more while they do.
    retired: Vec<ModelsFolder>,
    /// What is wrong with a models folder.
    problems: BTreeMap<PathBuf, String>,
    whereabouts: Whereabouts,
    /// Whether, at some time since the start, every folder was read and the header of every file known.
    surveyed: bool,
    /// The same with the content of every file.
    was_hashed: bool,
    /// Every folder was looked at since the start, which was told.
    looked: bool,
    /// Looks at everything that were asked for, the first by the start.
    asked: u64,
    looks_begun: u64,
    /// Since when it is being looked at who has files open whose time to settle is up.
    settling: Option<Instant>,
    /// Files being read.
    readings: HashMap<u64, looking::Reading>,
    /// Files whose headers are known and whose content is being read.
    hashings: HashMap<Arc<Path>, looking::Reading>,
    /// Other machines that may have read the same files.
    peers: Option<Arc<dyn Peers>>,
    /// Files that were known and have changed since: what others found of them may be out of date.
    distrusted: HashSet<FileId>,
    /// A checkpoint is being read for its names.
    naming: bool,
    /// When the first is.
    name_due: Option<Instant>,
    /// As they were read last.
    a1111_hashes: Arc<A1111Hashes>,
    readings_begun: u64,
    /// Files are being compared with their excerpts.
    comparing: bool,
    polling: polling::Polling,
    /// The disks of the models folders, of places in them where others are mounted, or were and may be again, and
    /// of what links in them lead to.
    disks: BTreeMap<PathBuf, Disk>,
    /// What is ignored in the models folders.
    ignored: Arc<Ignored>,
    /// Other names of folders than the listed ones.
    aliases: Aliases,
    /// They have changed.
    renamed: bool,
    due: looking::LookSchedule,
    /// Between two looks at what tells of its changes.
    rescan: Duration,
    recall: Arc<dyn Recall>,
    tell: Tell,
    /// Nobody looks without one.
    looker: Option<Arc<dyn Look>>,
    _mounts: MountWatch,
}

/// What files that were read taught.
#[derive(Default)]
pub(crate) struct Lesson {
    /// Bytes of those that were read completely.
    pub(crate) bytes: u64,
    /// The checkpoints among them.
    pub(crate) weights: HashSet<Id>,
    /// The placeholder ids that one had, and its own.
    pub(crate) hashed: Option<(Ids, Ids)>,
}

impl Inventory {
    /// An empty inventory.
    pub(crate) fn new(config: &Config, recall: Arc<dyn Recall>, tell: Tell) -> Self {
        let (ways, mounts) = (tell.clone(), tell.clone());
        let ways = Ways::new(move |dir| ways(FileEvent::Hint(dir, Hint::Moved)));
        let mut inventory = Self {
            catalogue: Catalogue::new(config.settle()),
            ignored: Arc::new(config.ignored()),
            aliases: Aliases::default(),
            renamed: false,
            folders: Vec::new(),
            retired: Vec::new(),
            problems: BTreeMap::new(),
            whereabouts: Whereabouts::new(recall.homes()),
            surveyed: false,
            was_hashed: false,
            comparing: false,
            polling: polling::Polling::default(),
            looked: false,
            asked: 1,
            looks_begun: 0,
            settling: None,
            readings: HashMap::new(),
            hashings: HashMap::new(),
            peers: None,
            distrusted: HashSet::new(),
            naming: false,
            name_due: None,
            a1111_hashes: Arc::default(),
            readings_begun: 0,
            disks: recall.disks(),
            due: looking::LookSchedule::default(),
            rescan: config.rescan(),
            recall,
            tell,
            looker: Some(Arc::new(Eyes(ways))),
            _mounts: MountWatch::new(move |points| mounts(FileEvent::Mounts(points))),
        };
        inventory.set_dirs(&config.models_dirs);
        inventory
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Other names of folders than the listed ones.
    pub(crate) fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    /// What is wrong with a models folder.
    pub(crate) fn problems(&self) -> &BTreeMap<PathBuf, String> {
        &self.problems
    }

    /// Where contents may be that no file is seen to have.
    pub(crate) fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    /// Whether files are being read, or about to be.
    pub(crate) fn is_busy(&self) -> bool {
        !self.readings.is_empty() || self.settling.is_some()
    }

    /// The look of this number has found these files.
    pub(crate) fn record_found(&mut self, number: u64, files: Vec<(PathBuf, Stamp)>) {
        let (mut files, mut stale) = (Some(files), Vec::new());
        for folder in &mut self.folders {
            if !folder.is_looked_at(number) {
                continue;
            }
            let files = folder.record_found(number, files.take().unwrap_or_default());
            let recall = &self.recall;
            let known = |path: &Path, stamp: &Stamp| recall.known(path, stamp);
            stale.extend(self.catalogue.seen(&folder.dir, files, now(), known));
        }
        stale.into_iter().for_each(|path| self.look_at(path, |_| {}));
    }

    /// The look of this number is done; whether something was learned that is to outlive the daemon.
    pub(crate) fn record_scan(&mut self, number: u64, scan: Scan) -> bool {
        let now = Instant::now();
        let mut folders = self.folders.iter_mut().chain(&mut self.retired);
        if let Some(folder) = folders.find(|folder| folder.is_looked_at(number)) {
            folder.record_done(number, scan, now);
        }
        self.retired.retain(ModelsFolder::hangs);
        let before = self.disks.clone();
        self.take_in(now);
        let have_changed = self.disks != before;
        if have_changed {
            self.recall.set_disks(&self.disks);
        }
        have_changed
    }

    /// Has the files at these paths read again.
    pub(crate) fn reread(&mut self, paths: &[PathBuf]) {
        for path in paths {
            self.distrust(path);
            self.catalogue.reread(path);
        }
    }

    /// Has the files with these weights read again.
    pub(crate) fn reread_checkpoint(&mut self, weights: &Id) {
        let held = self.catalogue.held();
        let paths = held.get(weights).map(|held| held.paths.iter().map(|path| path.to_path_buf()));
        let paths: Vec<PathBuf> = paths.into_iter().flatten().collect();
        drop(held);
        self.reread(&paths);
    }

    /// Hashes the file with this placeholder id before all others, because someone waits for it.
    pub(crate) fn hash_first(&mut self, weights: &Id) {
        self.catalogue.hash_first(weights);
    }

    /// Has files count as settled once unchanged for `settle`.
    pub(crate) fn set_settle(&mut self, settle: Duration) {
        self.catalogue.set_settle(settle);
    }

    /// Changes what is ignored.
    pub(crate) fn set_ignored(&mut self, ignored: Ignored) {
        self.ignored = Arc::new(ignored);
    }

    /// Has so much time be between two looks for want of events.
    pub(crate) fn set_rescan(&mut self, rescan: Duration) {
        self.rescan = rescan;
    }

    /// Has nobody look but a test.
    #[cfg(test)]
    pub(crate) fn blindfold(&mut self) {
        self.looker = None;
    }

    /// Has a look be under way at the only models folder, and returns its number.
    #[cfg(test)]
    pub(crate) fn pretend_look(&mut self) -> u64 {
        self.order(0, Instant::now()).round
    }

    /// Has nothing be left to look at again.
    #[cfg(test)]
    pub(crate) fn pretend_settled(&mut self) {
        self.folders.iter_mut().for_each(ModelsFolder::forget_second_look);
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;
