//! From an event to a file that is known.

use std::{path::PathBuf, sync::PoisonError, thread::available_parallelism, time::Duration};

use checkpoint::Id;
use tokio::{task::spawn_blocking, time::Instant};
use tracing::{debug, info};

use super::{
    actor::Actor,
    due::sooner,
    messages::{Message, Settled},
    reading,
};
use crate::{
    build::RuntimeProblem,
    schedule::{Outcome, Setback},
    watch::{Hint, Scan, Stamp, scan},
};

/// A burst of events is one look: this long after its first.
const GATHER: Duration = Duration::from_millis(50);

/// A folder made and filled at once can be filled before it is watched, so a second look follows.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often a models folder that is not there is looked for.
const MISSING_DIR: Duration = Duration::from_secs(5);

impl Actor {
    pub(super) fn hint(&mut self, hint: Hint) {
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
    pub(super) fn scan_now(&mut self) -> u64 {
        self.due.scan = Some(Instant::now());
        self.looks.scans_begun + 1
    }

    pub(super) fn begin_scan(&mut self) {
        self.looks.scans_begun += 1;
        let dirs = self.world.config.models_dirs.clone();
        let (notifier, mailbox) = (self.notifier.clone(), self.mailbox.clone());
        spawn_blocking(move || {
            // Watched first: what comes between the two is seen by both, not by neither.
            let mut notifier = notifier.lock().unwrap_or_else(PoisonError::into_inner);
            let watched: Vec<_> = dirs.iter().map(|dir| (dir, notifier.watch(dir))).collect();
            let mut found = scan(&dirs);
            for (dir, result) in watched {
                if let Err(problem) = result {
                    found.problems.entry(dir.clone()).or_insert(problem);
                }
            }
            mailbox.send(Message::Scanned(found));
        });
    }

    pub(super) fn scanned(&mut self, scan: Scan) {
        let now = Instant::now();
        self.looks.scans_done += 1;
        if self.looks.scans_done == 1 {
            info!(checkpoints = scan.files.len(), "first scan done");
            self.manager.ready();
        }
        for (dir, problem) in &scan.problems {
            if self.world.problems.get(dir) != Some(problem) {
                tracing::warn!("{problem}");
            }
        }
        let missing = self.world.config.models_dirs.iter().any(|dir| scan.missing.contains(dir));
        let next = if missing { MISSING_DIR } else { self.world.config.rescan() };
        self.due.scan = sooner(self.due.scan, now + next);
        self.world.problems = scan.problems;
        self.looks.incomplete = scan.incomplete;
        let store = self.world.store.clone();
        self.world.catalogue.scanned(scan.files, now.into_std(), |stamp| store.outcome(stamp));
        if matches!(&self.world.target, Err(problem) if *problem != RuntimeProblem::Sought) {
            self.look_for_runtime(None);
        }
        self.refresh_soon();
    }

    pub(super) fn look_at_written(&mut self) {
        let paths = std::mem::take(&mut self.due.written_paths);
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || {
            let look = |path: PathBuf| {
                let stamp = Stamp::of(&path).ok();
                (path, stamp)
            };
            mailbox.send(Message::Looked(paths.into_iter().map(look).collect()));
        });
    }

    pub(super) fn looked(&mut self, found: Vec<(PathBuf, Option<Stamp>)>) {
        let now = Instant::now().into_std();
        let store = self.world.store.clone();
        for (path, stamp) in found {
            self.world.catalogue.looked(path, stamp, now, |stamp| store.outcome(stamp));
        }
        self.refresh_soon();
    }

    pub(super) fn check_settling(&mut self, now: Instant) {
        self.looks.settling = true;
        let due = self.world.catalogue.due(now.into_std());
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || mailbox.send(Message::Settled(reading::settled(due))));
    }

    pub(super) fn settled(&mut self, found: Vec<Settled>) {
        self.looks.settling = false;
        let now = Instant::now().into_std();
        let store = self.world.store.clone();
        for Settled { path, stamp, being_written } in found {
            self.world.catalogue.looked(path.clone(), stamp, now, |stamp| store.outcome(stamp));
            if let Some(stamp) = stamp {
                self.world.catalogue.settled(&path, stamp, being_written, now);
            }
        }
        self.refresh_soon();
    }

    pub(super) fn start_reading(&mut self) {
        // One file keeps all cores busy, but many small ones only together.
        let most = available_parallelism().map_or(1, usize::from);
        while self.looks.reading < most {
            let Some((path, stamp)) = self.world.catalogue.start_reading() else { return };
            debug!("reading {}", path.display());
            self.looks.reading += 1;
            self.refresh_soon();
            let mailbox = self.mailbox.clone();
            spawn_blocking(move || mailbox.send(Message::Read(stamp, reading::read(&path, stamp))));
        }
    }

    pub(super) fn read(&mut self, stamp: Stamp, outcome: Option<Outcome>) {
        self.looks.reading -= 1;
        match &outcome {
            // Reading it may go better another time.
            Some(Outcome::Unreadable(_)) | None => {}
            Some(outcome) => {
                self.world.store.remember(&stamp, outcome);
                self.learned();
            }
        }
        self.world.catalogue.read(stamp, outcome.as_ref(), Instant::now().into_std());
        if let Some(Outcome::Identified(identity)) = &outcome {
            self.forgive(identity.ids.weights);
        }
        self.refresh_soon();
    }

    /// A file that was read anew gets a new try.
    fn forgive(&mut self, weights: Id) {
        let wanted = self.world.catalogue.held().get(&weights).and_then(|held| {
            let wanted = self.world.wanted(held)?;
            Some(wanted.spec.key())
        });
        if let Some(engine) = wanted
            && let Some(Setback::Failed(_)) = self.world.setbacks.get(&engine)
        {
            self.world.set_back(engine, None);
        }
    }
}
