//! When folders and files are looked at.

use std::{
    collections::BTreeMap,
    fs, mem,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::Instant};

use super::{
    Event, Hint, Inventory, Notifier, Scan, Stamp, Tell, reading,
    waits::Looks,
    watch::{look_at, open_for_writing, scan},
};
use crate::timers::{passed, sooner};

/// Files read at once.
static READERS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from));

/// A burst of events, or of files that settle, is one look: this long after its first.
const GATHER: Duration = Duration::from_millis(50);

/// A folder made and filled at once can be filled before it is watched, so a second look follows.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Between two looks at folders that change without telling.
const POLL: Duration = Duration::from_secs(10);

/// Looks that are made for want of events rest for so many times as long as they took.
const SCAN_REST: u32 = 20;

/// How often a models folder or a disk that is not there is looked for.
const MISSING_DIR: Duration = Duration::from_secs(5);

/// When to look, and at what.
#[derive(Default)]
pub(super) struct Due {
    scan: Option<Instant>,
    /// One more scan after the last event of a burst.
    second_look: Option<Instant>,
    /// Look at [`Self::paths`].
    look: Option<Instant>,
    /// Where something was done to a file, and what.
    paths: BTreeMap<PathBuf, Cause>,
    /// Nothing is hashed before.
    hash: Option<Instant>,
}

/// What was done to a file that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
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
    pub(crate) cause: Cause,
}

impl Visit {
    /// Looks there.
    pub(crate) fn at(path: PathBuf, cause: Cause) -> Self {
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
        let stamp = metadata.as_ref().map(|metadata| Stamp::at(&path, metadata));
        Self { path, stamp, links: metadata.map_or(1, |metadata| metadata.nlink()), cause }
    }

    /// No checkpoint lies there.
    fn nothing(path: PathBuf, cause: Cause) -> Self {
        Self { path, stamp: None, links: 1, cause }
    }
}

impl Due {
    pub(super) fn at_once() -> Self {
        Self { scan: Some(Instant::now()), ..Self::default() }
    }

    /// Whether a scan follows on events that may not have been seen whole.
    pub(super) fn is_unsettled(&self) -> bool {
        self.second_look.is_some()
    }

    #[cfg(test)]
    pub(super) fn forget_second_look(&mut self) {
        self.second_look = None;
    }

    /// What could not be hashed is looked at first.
    pub(super) fn hash_later(&mut self) {
        self.hash = Some(Instant::now() + LOOK_AGAIN);
    }

    /// The next scan after one that found this.
    pub(super) fn scan_after(&mut self, scan: &Scan, rescan: Duration) {
        let next = if !scan.missing.is_empty() {
            MISSING_DIR.max(scan.took * SCAN_REST)
        } else if scan.is_silent {
            rescan.min(POLL.max(scan.took * SCAN_REST))
        } else {
            rescan
        };
        self.scan = sooner(self.scan, Instant::now() + next);
    }
}

/// A notifier whose hints are told.
pub(super) fn notifier(tell: &Tell) -> Arc<Mutex<Notifier>> {
    let tell = tell.clone();
    Arc::new(Mutex::new(Notifier::new(move |hint| tell(Event::Hint(hint)))))
}

impl Inventory {
    /// It is time to look; whether something was learned that is to outlive the daemon.
    pub(crate) fn record_hint(&mut self, hint: Hint) -> bool {
        let now = Instant::now();
        match hint {
            // At once, as it may have another name by the time that it is looked at.
            Hint::Written(path) => {
                let outdated = self.catalogue.written(&path, now.into_std());
                outdated.iter().for_each(|stamp| self.recall.forget(stamp));
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
                self.record_hint(Hint::Moved);
            }
            Hint::Moved => {
                self.due.scan = sooner(self.due.scan, now + GATHER);
                self.due.second_look = Some(now + LOOK_AGAIN);
            }
        }
        false
    }

    /// Has a look be taken at this path before long.
    pub(super) fn look_at(&mut self, path: PathBuf, note: impl FnOnce(&mut Cause)) {
        note(self.due.paths.entry(path).or_default());
        self.due.look = sooner(self.due.look, Instant::now() + GATHER);
    }

    /// Has a scan begin now, and returns its number.
    pub(crate) fn scan_now(&mut self) -> u64 {
        self.due.scan = Some(Instant::now());
        self.scans_begun + 1
    }

    /// When to look next. A scan or a look under way tells when it is done; until then its next is not due.
    pub(crate) fn deadline(&self, settle: Duration) -> Option<Instant> {
        let scanning = self.is_scanning();
        let times = [
            self.due.scan.filter(|_| !scanning),
            self.due.second_look.filter(|_| !scanning),
            self.due.look,
            self.due.hash,
            self.next_settled(settle).filter(|_| !self.settling),
            self.next_comparison(),
            self.next_whole(),
            self.next_poll(),
        ];
        times.into_iter().flatten().min()
    }

    /// Begins what is due; whether something begins to be read.
    pub(crate) fn begin_due(&mut self, now: Instant, dirs: &[PathBuf], settle: Duration) -> bool {
        if self.scans_begun == self.scans_done {
            if passed(self.due.second_look, now) {
                self.due.second_look = None;
                self.due.scan = Some(now);
            }
            if passed(self.due.scan, now) {
                self.due.scan = None;
                self.begin_scan(dirs.to_vec());
            }
        }
        if passed(self.due.look, now) {
            self.due.look = None;
            self.look(dirs.to_vec());
        }
        self.poll(now);
        if passed(self.next_comparison(), now) {
            self.compare(now);
        }
        if passed(self.next_settled(settle), now) && !self.settling {
            self.check_settling(now, dirs.to_vec());
        }
        let begins = self.start_reading();
        if passed(self.due.hash, now) {
            self.due.hash = None;
        }
        begins | self.start_hashing()
    }

    fn is_scanning(&self) -> bool {
        self.scans_begun > self.scans_done
    }

    fn next_settled(&self, settle: Duration) -> Option<Instant> {
        let next = Instant::from_std(self.catalogue.next_settled()?);
        Some(next + GATHER.min(settle))
    }

    fn begin_scan(&mut self, dirs: Vec<PathBuf>) {
        self.scans_begun += 1;
        let (notifier, tell, mounts) =
            (self.notifier.clone(), self.tell.clone(), self.mounts.clone());
        let ignored = self.ignored.clone();
        spawn_blocking(move || {
            let mut notifier = notifier.lock().unwrap_or_else(PoisonError::into_inner);
            let found = |files| tell(Event::Found(files));
            let scan = scan(&dirs, &ignored, &mounts, &mut notifier, found);
            tell(Event::Scanned(scan));
        });
    }

    fn look(&mut self, dirs: Vec<PathBuf>) {
        let paths = mem::take(&mut self.due.paths);
        let (tell, ignored) = (self.tell.clone(), self.ignored.clone());
        spawn_blocking(move || {
            let look = |(path, cause): (PathBuf, Cause)| {
                let is_one = look_at(&path, &dirs, &ignored).is_some();
                if is_one { Visit::at(path, cause) } else { Visit::nothing(path, cause) }
            };
            tell(Event::Looked(paths.into_iter().map(look).collect()));
        });
    }

    /// Not while nothing can begin to be read: its time may have come.
    fn next_whole(&self) -> Option<Instant> {
        let can_begin = self.due.hash.is_none() && self.scans_done > 0 && self.reading < *READERS;
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
        let tell = self.tell.clone();
        spawn_blocking(move || tell(Event::Compared(reading::compare(files))));
    }

    fn check_settling(&mut self, now: Instant, dirs: Vec<PathBuf>) {
        self.settling = true;
        let due = self.catalogue.due(now.into_std());
        let tell = self.tell.clone();
        spawn_blocking(move || {
            let writers = open_for_writing();
            let mut looks = Looks::new(&dirs, &writers);
            let look = |(stamp, paths): (Stamp, Vec<_>)| (stamp, looks.at(&stamp, &paths));
            tell(Event::Settled(due.into_iter().map(look).collect()));
        });
    }

    fn start_hashing(&mut self) -> bool {
        if self.due.hash.is_some() || self.scans_done == 0 {
            return false;
        }
        let files = self.catalogue.start_hashing(Instant::now().into_std());
        let begins = !files.is_empty();
        for file in files {
            let (recall, tell) = (self.recall.clone(), self.tell.clone());
            spawn_blocking(move || tell(Event::Hashed(reading::hash(file, &*recall))));
        }
        begins
    }

    fn start_reading(&mut self) -> bool {
        let mut begins = false;
        // One file keeps all cores busy, but many small ones only together.
        while self.reading < *READERS {
            let mut files = self.catalogue.start_reading();
            if files.is_empty() {
                files = self.catalogue.start_reading_again(Instant::now().into_std());
            }
            if files.is_empty() {
                break;
            }
            self.reading += 1;
            begins = true;
            let (recall, tell) = (self.recall.clone(), self.tell.clone());
            spawn_blocking(move || tell(Event::Read(reading::learn(files, &*recall))));
        }
        begins
    }
}
