//! From an event to a file that is known.

use std::{
    collections::HashSet,
    mem,
    path::PathBuf,
    sync::{LazyLock, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use checkpoint::Id;
use tokio::{task::spawn_blocking, time::Instant};
use tracing::info;

use crate::{
    build::RuntimeProblem,
    event::{Learned, Message},
    event_loop::Actor,
    inventory::{FileId, Hint, Outcome, Scan, Stamp, open_for_writing, reading, scan},
    planner::Setback,
    timers::sooner,
};

/// Files read at once.
static READERS: LazyLock<usize> = LazyLock::new(|| available_parallelism().map_or(1, usize::from));

/// A burst of events, or of files that settle, is one look: this long after its first.
pub(crate) const GATHER: Duration = Duration::from_millis(50);

/// A folder made and filled at once can be filled before it is watched, so a second look follows.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Between two looks at folders that change without telling.
const POLL: Duration = Duration::from_secs(10);

/// Looks that are made for want of events rest for so many times as long as they took.
const SCAN_REST: u32 = 20;

/// How often a models folder or a disk that is not there is looked for.
const MISSING_DIR: Duration = Duration::from_secs(5);

impl Actor {
    pub(crate) fn hint(&mut self, hint: Hint) {
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
        self.looks.scans_begun + 1
    }

    pub(crate) fn begin_scan(&mut self) {
        self.looks.scans_begun += 1;
        let dirs = self.world.config.models_dirs.clone();
        let (notifier, mailbox) = (self.notifier.clone(), self.mailbox.clone());
        let mounts = self.looks.mounts.clone();
        spawn_blocking(move || {
            let mut notifier = notifier.lock().unwrap_or_else(PoisonError::into_inner);
            let found = |files| mailbox.send(Message::Found(files));
            let scan = scan(&dirs, &mounts, &mut notifier, found);
            mailbox.send(Message::Scanned(scan));
        });
    }

    pub(crate) fn found(&mut self, files: Vec<(PathBuf, Stamp)>) {
        // Of a later scan half is not taken in: half of a move would look like a deletion.
        if self.looks.scans_done > 0 {
            self.looks.found.extend(files);
            return;
        }
        let (now, store) = (Instant::now().into_std(), &self.world.store);
        self.world.catalogue.seen(files, now, |stamp| store.outcome(stamp));
    }

    pub(crate) fn scanned(&mut self, scan: Scan) {
        let now = Instant::now();
        self.looks.scans_done += 1;
        let (files, store) = (mem::take(&mut self.looks.found), &self.world.store);
        self.world.catalogue.seen(files, now.into_std(), |stamp| store.outcome(stamp));
        self.world.catalogue.forget_unseen();
        self.world.read_proofs();
        if self.looks.scans_done == 1 {
            self.take_in_shapes();
            info!(files = self.world.catalogue.files().count(), "first scan done");
            self.manager.ready();
        }
        for (dir, problem) in &scan.problems {
            if self.world.problems.get(dir) != Some(problem) {
                tracing::warn!("{problem}");
            }
        }
        self.due.scan = sooner(self.due.scan, now + self.next_scan(&scan));
        if scan.mounts != self.looks.mounts {
            self.world.store.set_mounts(&scan.mounts);
            self.learned();
            self.looks.mounts = scan.mounts;
        }
        self.world.problems = scan.problems;
        self.world.incomplete = scan.incomplete;
        if matches!(&self.world.target, Err(problem) if *problem != RuntimeProblem::Sought) {
            self.look_for_runtime(None);
        }
        self.refresh_soon();
    }

    fn next_scan(&self, scan: &Scan) -> Duration {
        let rescan = self.world.config.rescan();
        if !scan.missing.is_empty() {
            MISSING_DIR.max(scan.took * SCAN_REST)
        } else if scan.is_silent {
            rescan.min(POLL.max(scan.took * SCAN_REST))
        } else {
            rescan
        }
    }

    pub(crate) fn look_at_written(&mut self) {
        let paths = mem::take(&mut self.due.written_paths);
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || {
            let look = |path: PathBuf| {
                let stamp = Stamp::of(&path).ok();
                (path, stamp)
            };
            mailbox.send(Message::Looked(paths.into_iter().map(look).collect()));
        });
    }

    pub(crate) fn looked(&mut self, found: Vec<(PathBuf, Option<Stamp>)>) {
        let now = Instant::now().into_std();
        let store = self.world.store.clone();
        for (path, stamp) in found {
            self.world.catalogue.looked(&path, stamp, now, |stamp| store.outcome(stamp));
        }
        self.refresh_soon();
    }

    pub(crate) fn check_settling(&mut self, now: Instant) {
        self.looks.settling = true;
        let due = self.world.catalogue.due(now.into_std());
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || mailbox.send(Message::Settled(due, open_for_writing())));
    }

    pub(crate) fn settled(&mut self, due: &[Stamp], writers: &HashSet<FileId>) {
        self.looks.settling = false;
        let now = Instant::now().into_std();
        for stamp in due {
            self.world.catalogue.settled(*stamp, writers.contains(&stamp.file()), now);
        }
        self.refresh_soon();
    }

    pub(crate) fn start_reading(&mut self) {
        // One file keeps all cores busy, but many small ones only together.
        while self.looks.reading < *READERS {
            let files = self.world.catalogue.start_reading();
            if files.is_empty() {
                return;
            }
            self.looks.reading += 1;
            self.refresh_soon();
            let (store, mailbox) = (self.world.store.clone(), self.mailbox.clone());
            spawn_blocking(move || mailbox.send(Message::Read(reading::learn(files, &*store))));
        }
    }

    pub(crate) fn read(&mut self, learned: Vec<Learned>) {
        self.looks.reading -= 1;
        let now = Instant::now().into_std();
        let mut read = HashSet::new();
        for Learned { path, stamp, outcome } in learned {
            match &outcome {
                Some(outcome) => {
                    self.metrics.hashed.inc_by(stamp.size);
                    if let Outcome::Identified(identity) = outcome {
                        read.insert(identity.ids.weights);
                    }
                }
                // It is not what was seen last, or not there.
                None => self.hint(Hint::Written(path.to_path_buf())),
            }
            self.world.catalogue.read(stamp, outcome, now);
        }
        self.forgive(&read);
        self.learned();
        self.refresh_soon();
    }

    /// A file that was read anew gets a new try.
    fn forgive(&mut self, read: &HashSet<Id>) {
        if self.world.retry.setbacks().is_empty() {
            return;
        }
        let held = self.world.catalogue.held();
        let wanted = held.iter().filter(|(weights, _)| read.contains(weights));
        let mut failed: Vec<Id> = Vec::new();
        for (_, held) in wanted {
            let engines = self.world.desired(held);
            let engines = engines.iter().map(|desired| desired.engine);
            let is_failed = |engine: &Id| {
                matches!(self.world.retry.setbacks().get(engine), Some(Setback::Failed(_)))
            };
            failed.extend(engines.filter(is_failed));
        }
        for engine in failed {
            self.world.retry.forgive(engine);
        }
    }
}
