//! What lies in the models folders, and what is known of it.

mod aliases;
mod catalogue;
mod idle;
mod learning;
mod looking;
mod outcome;
mod polling;
mod reading;
mod recall;
mod unhashed;
mod verifying;
mod waits;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    mem,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use checkpoint::{Id, Ids};
use config::{Config, Ignored};
use tokio::time::Instant;
use tracing::{info, warn};

pub use aliases::Aliases;
pub use catalogue::{Catalogue, Content, File, Held, Sighting};
pub use checkpoint::{FileId, Identity, Stamp};
pub(crate) use looking::{Cause, Visit};
pub use outcome::Outcome;
pub(crate) use reading::{Compared, Learned, folder_bytes};
pub(crate) use recall::Key;
pub use recall::{Known, Recall};
pub(crate) use verifying::verify;
pub use waits::{OPEN_LIMIT, Waits};
pub use watch::{Hint, Notifier, Scan, Unwatched};

/// What is heard of files.
pub(crate) enum Event {
    /// It is time to look.
    Hint(Hint),
    /// A full scan found these files.
    Found(Vec<(PathBuf, Stamp)>),
    /// A full scan is done.
    Scanned(Scan),
    /// Some files were looked at because something was done to them.
    Looked(Vec<Visit>),
    /// The files on this file system were looked at: at these paths something has changed.
    Polled(u64, Vec<PathBuf>, std::time::Duration),
    /// Some files were compared with their excerpts.
    Compared(Vec<Compared>),
    /// The time of these files to settle is up, and this is what is waited for nevertheless.
    Settled(Vec<(Stamp, Option<Waits>)>),
    /// Some files, or their headers, were read.
    Read(Vec<Learned>),
    /// All of a file was read whose header was known.
    Hashed(Learned),
}

/// Takes what is heard to the loop.
pub(crate) type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// The models folders: the catalogue of their files, and what is looked at or read right now.
pub(crate) struct Inventory {
    catalogue: Catalogue,
    /// What is wrong with a models folder.
    problems: BTreeMap<PathBuf, String>,
    /// Some folder or disk could not be looked at, so that more may lie there.
    incomplete: bool,
    /// Once since the start, every folder was seen and the header of every file known.
    surveyed: bool,
    /// The same with the content of every file.
    was_hashed: bool,
    notifier: Arc<Mutex<Notifier>>,
    scans_begun: u64,
    scans_done: u64,
    /// What the scan under way has found so far.
    found: Vec<(PathBuf, Stamp)>,
    /// It is being looked at who has files open whose time to settle is up.
    settling: bool,
    /// Files being read.
    reading: usize,
    /// Files are being compared with their excerpts.
    comparing: bool,
    polling: polling::Polling,
    /// Where disks are mounted below the models folders, or were and may be again.
    mounts: BTreeSet<PathBuf>,
    /// What in the models folders is ignored.
    ignored: Arc<Ignored>,
    /// Other names of folders than those under which they are listed.
    aliases: Aliases,
    due: looking::Due,
    recall: Arc<dyn Recall>,
    tell: Tell,
}

/// What files that were read taught.
#[derive(Default)]
pub(crate) struct Lesson {
    /// Bytes of those that were read whole.
    pub(crate) bytes: u64,
    /// The checkpoints among them.
    pub(crate) weights: HashSet<Id>,
    /// The provisional ids that one had until now, and its own.
    pub(crate) hashed: Option<(Ids, Ids)>,
}

impl Inventory {
    /// Knows nothing yet.
    pub(crate) fn new(config: &Config, recall: Arc<dyn Recall>, tell: Tell) -> Self {
        Self {
            catalogue: Catalogue::new(config.settle()),
            ignored: Arc::new(config.ignored()),
            aliases: Aliases::default(),
            problems: BTreeMap::new(),
            incomplete: false,
            surveyed: false,
            was_hashed: false,
            notifier: looking::notifier(&tell),
            scans_begun: 0,
            scans_done: 0,
            found: Vec::new(),
            settling: false,
            reading: 0,
            comparing: false,
            polling: polling::Polling::default(),
            mounts: recall.mounts(),
            due: looking::Due::at_once(),
            recall,
            tell,
        }
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Other names of folders than those under which they are listed.
    pub(crate) fn aliases(&self) -> &Aliases {
        &self.aliases
    }

    /// What is wrong with a models folder.
    pub(crate) fn problems(&self) -> &BTreeMap<PathBuf, String> {
        &self.problems
    }

    /// Whether some folder or disk could not be looked at, so that more may lie there.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Whether, once since the start, every folder was seen and the header of every file known.
    pub(crate) fn is_surveyed(&self) -> bool {
        self.surveyed
    }

    /// Whether, once since the start, every folder was seen and the content of every file known.
    pub(crate) fn was_hashed(&self) -> bool {
        self.was_hashed
    }

    /// Full scans all of whose findings are beyond doubt.
    pub(crate) fn scans_understood(&self) -> u64 {
        if self.catalogue.is_in_doubt() { 0 } else { self.scans_done }
    }

    /// Full scans that were taken in.
    pub(crate) fn scans_done(&self) -> u64 {
        self.scans_done
    }

    /// Whether files are being read, or about to be.
    pub(crate) fn is_busy(&self) -> bool {
        self.reading > 0 || self.settling
    }

    /// Whether every file was seen, and read as far as it takes to use it, files left out that somebody has had open
    /// for writing for longer than files settle: one that stays open holds nothing else up.
    pub(crate) fn is_read_but_for_open_files(&self) -> bool {
        self.scans_done > 0 && self.catalogue.is_read_but_for_open_files()
    }

    /// Whether every file was seen and its content is known.
    pub(crate) fn is_all_hashed(&self) -> bool {
        self.scans_done > 0 && self.catalogue.is_all_hashed()
    }

    /// Whether a signature that no file is known to have is really gone: no file is unread, and no folder unseen.
    pub(crate) fn is_all_seen(&self) -> bool {
        self.scans_done > 0
            && self.catalogue.is_all_read()
            && self.scans_done == self.scans_begun
            && !self.incomplete
            && !self.due.is_unsettled()
    }

    /// Whether a content that no file is known to have is really gone, too.
    pub(crate) fn is_all_known(&self) -> bool {
        self.is_all_seen() && self.is_all_hashed()
    }

    /// Takes in whether everything is known.
    pub(crate) fn record_survey(&mut self) {
        self.surveyed |= self.is_all_seen();
        self.was_hashed |= self.is_all_known();
    }

    /// A scan has found these files.
    pub(crate) fn record_found(&mut self, files: Vec<(PathBuf, Stamp)>) {
        // Of a later scan half is not taken in: half of a move would look like a deletion.
        if self.scans_done > 0 {
            self.found.extend(files);
            return;
        }
        self.take_in(files);
    }

    fn take_in(&mut self, files: Vec<(PathBuf, Stamp)>) {
        let recall = self.recall.clone();
        let stale = self.catalogue.seen(files, now(), |path, stamp| recall.known(path, stamp));
        stale.into_iter().for_each(|path| self.look_at(path, |_| {}));
    }

    /// A scan is done, the next of which begins after `rescan`; whether something was learned that is to outlive
    /// the daemon.
    pub(crate) fn record_scan(&mut self, scan: Scan, rescan: std::time::Duration) -> bool {
        self.scans_done += 1;
        let files = mem::take(&mut self.found);
        self.take_in(files);
        self.catalogue.forget_unseen();
        if self.scans_done == 1 {
            info!(files = self.catalogue.files().count(), "first scan done");
        }
        for (dir, problem) in &scan.problems {
            if self.problems.get(dir) != Some(problem) {
                warn!("{problem}");
            }
        }
        self.due.scan_after(&scan, rescan);
        let have_changed = scan.mounts != self.mounts;
        if have_changed {
            self.recall.set_mounts(&scan.mounts);
            self.mounts = scan.mounts;
        }
        self.problems = scan.problems;
        self.incomplete = scan.incomplete;
        self.aliases = scan.aliases;
        have_changed
    }

    /// Has the files at these paths read again.
    pub(crate) fn reread(&mut self, paths: &[PathBuf]) {
        paths.iter().for_each(|path| self.catalogue.reread(path));
    }

    /// Has the files with these weights read again.
    pub(crate) fn reread_checkpoint(&mut self, weights: &Id) {
        let held = self.catalogue.held();
        let paths = held.get(weights).map(|held| held.paths.iter().map(|path| path.to_path_buf()));
        let paths: Vec<PathBuf> = paths.into_iter().flatten().collect();
        drop(held);
        self.reread(&paths);
    }

    /// Has the file that this id stands for hashed before all others, as somebody waits for it.
    pub(crate) fn hash_first(&mut self, weights: &Id) {
        self.catalogue.hash_first(weights);
    }

    /// Has files count as settled once unchanged for `settle`.
    pub(crate) fn set_settle(&mut self, settle: std::time::Duration) {
        self.catalogue.set_settle(settle);
    }

    /// Has other things ignored.
    pub(crate) fn set_ignored(&mut self, ignored: Ignored) {
        self.ignored = Arc::new(ignored);
    }

    /// Watches other folders: what is no longer watched is not heard of any more.
    pub(crate) fn watch_anew(&mut self) {
        self.notifier = looking::notifier(&self.tell);
    }

    /// Has a scan be under way that begins now.
    #[cfg(test)]
    pub(crate) fn pretend_scan(&mut self) {
        self.scans_begun = self.scans_done + 1;
    }

    /// Has nothing be left to look at again.
    #[cfg(test)]
    pub(crate) fn pretend_settled(&mut self) {
        self.due.forget_second_look();
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
