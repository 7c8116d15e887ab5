//! When folders and files are looked at.

use std::{
    collections::BTreeSet,
    mem,
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
    /// Look at [`Self::written_paths`].
    written: Option<Instant>,
    written_paths: BTreeSet<PathBuf>,
    /// Nothing is hashed before.
    hash: Option<Instant>,
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
    /// It is time to look.
    pub(crate) fn record_hint(&mut self, hint: Hint) {
        let now = Instant::now();
        match hint {
            Hint::Written(path) => {
                self.due.written_paths.insert(path);
                self.due.written = sooner(self.due.written, now + GATHER);
            }
            Hint::Moved => {
                self.due.scan = sooner(self.due.scan, now + GATHER);
                self.due.second_look = Some(now + LOOK_AGAIN);
            }
        }
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
            self.due.written,
            self.due.hash,
            self.next_settled(settle).filter(|_| !self.settling),
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
        if passed(self.due.written, now) {
            self.due.written = None;
            self.look_at_written(dirs.to_vec());
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

    fn look_at_written(&mut self, dirs: Vec<PathBuf>) {
        let paths = mem::take(&mut self.due.written_paths);
        let (tell, ignored) = (self.tell.clone(), self.ignored.clone());
        spawn_blocking(move || {
            let look = |path: PathBuf| {
                let stamp = look_at(&path, &dirs, &ignored);
                (path, stamp)
            };
            tell(Event::Looked(paths.into_iter().map(look).collect()));
        });
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
        let files = self.catalogue.start_hashing();
        let begins = !files.is_empty();
        for (path, stamp) in files {
            let (recall, tell) = (self.recall.clone(), self.tell.clone());
            spawn_blocking(move || tell(Event::Hashed(reading::hash(path, stamp, &*recall))));
        }
        begins
    }

    fn start_reading(&mut self) -> bool {
        let mut begins = false;
        // One file keeps all cores busy, but many small ones only together.
        while self.reading < *READERS {
            let files = self.catalogue.start_reading();
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
