//! The models folders, each with its own looks: what holds one up holds up no other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{Notifier, Scan, Stamp, watch::Pulse, whereabouts::Away};
use crate::timers::{passed, sooner};

/// A burst of events is one look: this long after its first. What is due in this time is done together.
pub(super) const GATHER: Duration = Duration::from_millis(50);

/// A folder made and filled at once can be filled before it is watched, so a second look follows.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Between two looks at folders that change without telling.
const POLL: Duration = Duration::from_secs(10);

/// Looks that are made for want of events rest for so many times as long as they took.
const SCAN_REST: u32 = 20;

/// How often a models folder that is not there is looked for, and the way to one that can't be watched.
const MISSING_DIR: Duration = Duration::from_secs(5);

/// What could not be looked at is looked at again after this time, then after twice that, and so on.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// A disk that answers nothing for so long hangs: one that was asleep needs less to spin up.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// For so long the end of one look waits for others under way, so that half of a move from one models folder to
/// another is not taken for a deletion.
const TOGETHER: Duration = Duration::from_secs(2);

/// What is said of a models folder whose disk hangs.
const HANGS: &str = "does not answer: its disk hangs, or its server is away; its engines are kept, and it is used \
                     again as soon as it answers";

/// A models folder.
pub(super) struct ModelsFolder {
    pub(super) dir: Arc<Path>,
    pub(super) notifier: Arc<Mutex<Notifier>>,
    due: Option<Instant>,
    /// One more look after the last event of a burst.
    second_look: Option<Instant>,
    /// See whether the way to it is still the same.
    glance: Option<Instant>,
    pub(super) glancing: bool,
    look: Option<Looking>,
    /// What the last look found beside files.
    pub(super) scan: Scan,
    /// The last survey that it was looked at for; 0 before the first.
    survey: u64,
    /// Looks in a row that found something that can't be looked at.
    failed: u32,
}

/// A look under way, or one whose end waits for others.
struct Looking {
    number: u64,
    survey: u64,
    begun: Instant,
    pulse: Arc<Pulse>,
    /// How often the disk had answered when that was asked last, and when that was news.
    answered: (u64, Instant),
    files: Vec<(PathBuf, Stamp)>,
    done: Option<Scan>,
    given_up: bool,
}

/// What a look taught.
pub(super) struct LookResult {
    pub(super) files: Vec<(PathBuf, Stamp)>,
    pub(super) scan: Scan,
}

impl ModelsFolder {
    /// Not looked at yet.
    pub(super) fn new(dir: Arc<Path>, notifier: Arc<Mutex<Notifier>>) -> Self {
        Self {
            dir,
            notifier,
            due: Some(Instant::now()),
            second_look: None,
            glance: None,
            glancing: false,
            look: None,
            scan: Scan::default(),
            survey: 0,
            failed: 0,
        }
    }

    /// Something in it came, went or moved.
    pub(super) fn record_moved(&mut self, now: Instant) {
        self.due = sooner(self.due, now + GATHER);
        self.second_look = Some(now + LOOK_AGAIN);
    }

    /// It is to be looked at now.
    pub(super) fn record_due(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// Whether it is not being looked at.
    pub(super) fn is_at_rest(&self) -> bool {
        self.look.is_none()
    }

    /// When something is to be done next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let times = match &self.look {
            None => [self.due, self.second_look, self.glance.filter(|_| !self.glancing)],
            // Its end tells.
            Some(look) if look.given_up || look.done.is_some() => return None,
            Some(look) => [Some(look.answered.1 + PATIENCE), None, None],
        };
        times.into_iter().flatten().min()
    }

    /// Until when others that have ended wait for its look.
    pub(super) fn awaited_until(&self) -> Option<Instant> {
        let look = self.look.as_ref().filter(|look| look.done.is_none() && !look.given_up)?;
        Some(look.begun + TOGETHER)
    }

    /// Whether its look has ended and was not taken in.
    pub(super) fn is_done(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.done.is_some())
    }

    /// Whether a look is due, at `now` or right after it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.look.is_none() && (passed(self.due, now) || passed(self.second_look, now))
    }

    /// Whether the way to it is to be looked at.
    pub(super) fn take_glance(&mut self, now: Instant) -> bool {
        let is_due = passed(self.glance, now) && self.look.is_none() && !self.glancing;
        if is_due {
            self.glance = Some(now + MISSING_DIR);
            self.glancing = true;
        }
        is_due
    }

    /// A look begins that has this number, for the survey `survey`.
    pub(super) fn record_begin(&mut self, number: u64, survey: u64, now: Instant) -> Arc<Pulse> {
        self.due = None;
        self.second_look = self.second_look.filter(|time| *time > now + GATHER);
        let pulse = Arc::<Pulse>::default();
        self.look = Some(Looking {
            number,
            survey,
            begun: now,
            pulse: pulse.clone(),
            answered: (0, now),
            files: Vec::new(),
            done: None,
            given_up: false,
        });
        pulse
    }

    /// Whether the look of this number is at this folder.
    pub(super) fn is_looked_at(&self, number: u64) -> bool {
        self.look.as_ref().is_some_and(|look| look.number == number)
    }

    fn looking(&mut self, number: u64) -> Option<&mut Looking> {
        self.look.as_mut().filter(|look| look.number == number)
    }

    /// The look `number` has found these files. They are returned if they can be taken in at once: of a later look
    /// half is not, as half of a move would look like a deletion.
    pub(super) fn record_found(
        &mut self,
        number: u64,
        files: Vec<(PathBuf, Stamp)>,
    ) -> Vec<(PathBuf, Stamp)> {
        let is_first = self.survey == 0;
        match self.looking(number) {
            Some(look) if is_first && !look.given_up => files,
            Some(look) => {
                look.files.extend(files);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// The look `number` has ended. What one found that was given up counts no more: the next tells.
    pub(super) fn record_done(&mut self, number: u64, scan: Scan, now: Instant) {
        let Some(look) = self.looking(number) else { return };
        look.done = Some(scan);
        if look.given_up {
            self.look = None;
            self.due = Some(now);
        }
    }

    /// Gives a look up whose disk has not answered for long; whether that is news.
    pub(super) fn give_up(&mut self, now: Instant) -> bool {
        let Some(look) = self.look.as_mut().filter(|look| !look.given_up && look.done.is_none())
        else {
            return false;
        };
        let beats = look.pulse.beats();
        if beats != look.answered.0 {
            look.answered = (beats, now);
        }
        look.given_up = now >= look.answered.1 + PATIENCE;
        if look.given_up {
            (self.survey, look.files) = (look.survey, Vec::new());
        }
        look.given_up
    }

    /// Whether its disk hangs.
    pub(super) fn hangs(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.given_up)
    }

    /// What a look that has ended taught.
    pub(super) fn take_done(&mut self) -> Option<LookResult> {
        let look = self.look.take_if(|look| look.done.is_some())?;
        self.survey = look.survey;
        Some(LookResult { files: look.files, scan: look.done? })
    }

    /// The next look after one that found `scan`.
    pub(super) fn record_scan(&mut self, scan: Scan, rescan: Duration, now: Instant) {
        let rest = scan.took * SCAN_REST;
        let is_whole = scan.away.is_empty();
        self.failed = if is_whole { 0 } else { self.failed.saturating_add(1) };
        let next = if scan.is_missing {
            MISSING_DIR.max(rest)
        } else if !is_whole {
            let doubled = 1 << (self.failed - 1).min(16);
            rescan.min(rest.max(TRY_AGAIN * doubled))
        } else if scan.is_silent {
            rescan.min(POLL.max(rest))
        } else {
            rescan
        };
        self.due = sooner(self.due, now + next);
        self.glance = scan.is_blind.then(|| now + MISSING_DIR);
        self.scan = scan;
    }

    /// Whether everything in it that can be looked at was, and nothing has happened since.
    pub(super) fn is_settled(&self) -> bool {
        self.second_look.is_none() && (self.look.is_none() || self.hangs())
    }

    /// The last survey that it was looked at for, or given up; `asked` is the last that was asked for.
    pub(super) fn survey(&self, asked: u64) -> u64 {
        if self.hangs() { asked } else { self.survey }
    }

    /// What can't be looked at in it, and why.
    pub(super) fn away(&self) -> Away {
        if self.hangs() {
            return BTreeMap::from([(self.dir.to_path_buf(), HANGS.to_owned())]);
        }
        self.scan.away.clone()
    }

    /// What is wrong with it.
    pub(super) fn problem(&self) -> Option<String> {
        if self.hangs() {
            return Some(format!("{} {HANGS}", self.dir.display()));
        }
        self.scan.problem(&self.dir)
    }

    /// Has nothing be left to look at again.
    #[cfg(test)]
    pub(super) fn forget_second_look(&mut self) {
        self.second_look = None;
    }
}

#[cfg(test)]
mod tests;
