//! What looks, comparisons and readings teach.

use std::{path::Path, time::Duration};

use super::{
    Compared, FileChange, Hint, Inventory, Learned, Lesson, Outcome, Sighting, Stamp, Visit, Waits,
    looking::owner, now,
};

impl Inventory {
    /// These files were looked at; whether something was learned that is to outlive the daemon.
    pub(crate) fn record_look(&mut self, looks: Vec<Visit>) -> bool {
        let mut has_learned = false;
        let recall = self.recall.clone();
        let known = |path: &Path, stamp: &Stamp| recall.known(path, stamp);
        for Visit { path, stamp, links, cause } in looks {
            let dir = owner(&self.folders, &path);
            if let Some(((from, stamp), dir)) = cause.renamed_from.zip(stamp).zip(dir) {
                let kept = self.catalogue.renamed(dir, &from, &path, stamp, links, now(), &known);
                if let Some(known) = kept {
                    recall.remember(&path, &stamp, &known);
                    has_learned = true;
                }
            } else {
                match dir {
                    Some(dir) => self.catalogue.looked(dir, &path, stamp, now(), known),
                    // It may be in no models folder any more.
                    None => self.catalogue.left(&path),
                }
            }
            if cause.is_written
                && let Some(outdated) = self.catalogue.written(&path, now())
            {
                self.distrust(&path);
                recall.forget(&outdated);
                has_learned = true;
            }
        }
        has_learned
    }

    /// These files were compared with their excerpts.
    pub(crate) fn record_compared(&mut self, compared: Vec<Compared>) {
        self.comparing = false;
        for Compared { sighting: Sighting { path, stamp }, found, is_same } in compared {
            if !is_same {
                self.distrust(&path);
            }
            let kept = self.catalogue.compared(stamp, found, is_same, now());
            if let Some((stamp, known)) = found.zip(kept) {
                self.recall.remember(&path, &stamp, &known);
            }
        }
    }

    /// The time of these files to settle is up, and this is what is waited for nevertheless.
    pub(crate) fn record_settled(&mut self, due: Vec<(Stamp, Option<Waits>)>) {
        self.settling = None;
        for (stamp, waits) in due {
            self.catalogue.settled(stamp, waits, now());
        }
    }

    /// These files, or their headers, were read, in a reading of this number.
    pub(crate) fn record_read(&mut self, number: u64, learned: Vec<Learned>) -> Lesson {
        self.readings.remove(&number);
        let mut lesson = Lesson::default();
        for learned in learned {
            self.record_learned(&learned, &mut lesson);
            self.catalogue.read(learned.stamp, learned.known, now());
        }
        lesson
    }

    /// All of this file was read.
    pub(crate) fn record_hashed(&mut self, learned: Learned) -> Lesson {
        self.hashings.remove(&learned.path);
        self.distrusted.remove(&learned.stamp.file());
        let mut lesson = Lesson::default();
        self.record_learned(&learned, &mut lesson);
        if learned.known.is_none() {
            // The look comes first.
            self.due.hash_later();
        }
        lesson.hashed = self.catalogue.hashed(learned.stamp, learned.known, now());
        lesson
    }

    /// The file at this path is hashed after so long at the earliest.
    pub(crate) fn record_put_off(&mut self, path: &Path, stamp: &Stamp, wait: Duration) {
        self.hashings.remove(path);
        self.catalogue.put_off(stamp, now() + wait);
    }

    fn record_learned(&mut self, learned: &Learned, lesson: &mut Lesson) {
        match learned.known.as_ref().map(|known| &known.outcome) {
            Some(outcome) => {
                lesson.bytes += if outcome.is_provisional() { 0 } else { learned.stamp.size };
                if let Outcome::Identified(identity) = outcome {
                    lesson.weights.insert(identity.ids.weights);
                }
            }
            // It is not what was seen last, or not there.
            None => self.look_at(learned.path.to_path_buf(), |_| {}),
        }
    }

    /// A file is not where or what it was, but was `found` there. Its disk may be away: before everything was
    /// looked at nothing counts as deleted.
    pub(crate) fn record_moved(&mut self, path: &Path, found: Option<Stamp>) {
        if let Some(dir) = owner(&self.folders, path).cloned() {
            self.record_hint(&dir, Hint::Moved);
        }
        let cause = FileChange::default();
        self.record_look(vec![Visit {
            path: path.to_owned(),
            stamp: found.filter(|stamp| stamp.size > 0),
            links: 1,
            cause,
        }]);
    }
}
