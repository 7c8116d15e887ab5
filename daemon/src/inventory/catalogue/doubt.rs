//! Files whose content is known, but may have changed although neither size nor time has.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use checkpoint::Inodes;

use super::{Catalogue, Content, File, Seen, Sighting};
use crate::inventory::{Evidence, ExcerptKey, FileId, Known, Outcome, Stamp, reading::SMALL};

/// A rename also changes the ctime, and may be heard of only this long after it was seen.
const GRACE: Duration = Duration::from_millis(200);

/// A file that was compared is read as a whole after this long.
const QUIET: Duration = Duration::from_secs(1);

/// And one that takes its time after this long.
const LONG_QUIET: Duration = Duration::from_secs(30);

/// Files that are compared at a time.
const BATCH: usize = 8;

/// How far it can be relied on that a file still holds what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assurance {
    /// What tells, where reading it again costs more.
    excerpt: Option<ExcerptKey>,
    /// Since when something may have been done to it.
    doubted: Option<Instant>,
    /// When it is to be read as a whole, since only its excerpt was compared.
    whole: Option<Instant>,
    /// More was done to it than a rename does.
    is_touched: bool,
    /// There is more to doubt it for than what its file system is.
    is_suspect: bool,
}

impl Assurance {
    /// What it stands for in the order of files that are doubted, and of those that are to be read as a whole.
    pub(super) fn times(&self) -> (Option<Instant>, Option<Instant>) {
        (self.doubted, self.whole)
    }
}

impl Catalogue {
    /// Takes in that the file at `path` was written to, whatever its size and time are. What is remembered of this
    /// stamp, if one is returned, holds no more.
    pub fn written(&mut self, path: &Path, now: Instant) -> Option<Stamp> {
        let file = self.at(path)?;
        let (stamp, was_known) = (file.stamp, !matches!(file.content, Content::Settling { .. }));
        self.know(stamp, Content::changed(now));
        was_known.then_some(stamp)
    }

    /// Takes in that something may be done to the file at `path` which a rename does not explain.
    pub fn touched(&mut self, path: &Path) {
        let file = self.locations.get(path).map(|location| location.file);
        if let Some(file) = file.and_then(|file| self.files.get_mut(&file)) {
            file.assurance.is_touched = true;
        }
    }

    /// Takes in that a disk was unmounted: where inodes don't last beyond that, all may be others now.
    pub fn unmounted(&mut self, now: Instant) {
        let files = self.files.values().map(|file| file.stamp);
        let files: Vec<Stamp> =
            files.filter(|stamp| stamp.file_system.inodes() != Inodes::Last).collect();
        files.into_iter().for_each(|stamp| self.doubt(stamp, true, now));
    }

    /// Takes in that the file that lies at `to` as `found`, with so many `links`, was renamed, which alone is
    /// no reason to read it. What is known of it then, if that is to be kept.
    #[expect(clippy::too_many_arguments, reason = "two names, and what was seen of one file")]
    pub fn renamed(
        &mut self,
        dir: &Arc<Path>,
        from: &Path,
        to: &Path,
        found: Stamp,
        links: u64,
        now: Instant,
        recall: &impl Fn(&Path, &Stamp) -> Option<Known>,
    ) -> Option<Known> {
        let id = found.file();
        let carried = self.carried(from, &found);
        // What has happened to it up to now was seen, and this explains the rest, unless it has names that
        // nobody watches.
        let is_explained = carried.is_some()
            || self.files.get(&id).is_some_and(|file| {
                file.stamp.is_same_version(&found) && !file.assurance.is_touched
            });
        let seen = Seen { dir, whole: false };
        match carried {
            Some(known) => self.found(to, found, seen, now, &|_, _| Some(known.clone())),
            None => self.found(to, found, seen, now, recall),
        }
        if self.locations.get(from).is_some_and(|at| at.file == id || found.device == 0) {
            self.left(from);
        }
        let names = self.files.get(&id).map_or(0, |file| file.paths.len() as u64);
        if !is_explained || (found.device != 0 && links > names) {
            return None;
        }
        self.restamp(found);
        self.set_assurance(id, |assurance| {
            let Assurance { excerpt, whole, .. } = std::mem::take(assurance);
            *assurance = Assurance { excerpt, whole, ..Assurance::default() };
        });
        self.known(&id)
    }

    /// Which files may have been renamed with what was at `from`: itself, or those in it that are known by their
    /// paths. For others it is nothing to be in a folder that moves.
    pub fn renamed_with(&self, from: PathBuf, to: PathBuf) -> Vec<(PathBuf, PathBuf)> {
        if checkpoint::is_checkpoint_name(&to) {
            return vec![(from, to)];
        }
        let passing = self.files.values().filter(|file| file.stamp.device == 0);
        let inside = passing.flat_map(|file| &file.paths).filter_map(|path| {
            let rest = path.strip_prefix(&from).ok()?;
            Some((path.to_path_buf(), to.join(rest)))
        });
        inside.collect()
    }

    /// What is known of the file at `from`, if it is known by its path and this may be it.
    fn carried(&self, from: &Path, found: &Stamp) -> Option<Known> {
        let before = self.at(from).filter(|file| found.device == 0 && file.stamp.device == 0)?;
        let is_it = before.stamp.may_be_renamed(found) && !before.assurance.is_touched;
        self.known(&before.stamp.file()).filter(|_| is_it)
    }

    /// Takes in that nothing of what a file is known by has changed but its ctime, or not even that.
    pub(super) fn doubt(&mut self, stamp: Stamp, is_touched: bool, now: Instant) {
        let id = stamp.file();
        let before = self.files.get(&id).map(|file| file.stamp.changed_ns);
        self.restamp(stamp);
        match self.files.get(&id).map(|file| &file.content) {
            Some(Content::Settling { .. }) => {
                self.know(stamp, Content::changed(now));
            }
            // What it was may be read already.
            Some(Content::Read(_) | Content::Reading) => self.set_assurance(id, |assurance| {
                assurance.doubted = Some(now);
                assurance.is_touched |= is_touched;
                assurance.is_suspect |= before != Some(stamp.changed_ns);
            }),
            Some(Content::Unread) | None => {}
        }
    }

    /// Takes in what was once learned of a file.
    pub(super) fn know_again(&mut self, stamp: Stamp, known: Known, now: Instant) {
        let is_doubtful = known.is_doubtful(&stamp);
        self.know_as(Stamp { changed_ns: known.changed_ns, ..stamp }, known, now);
        if is_doubtful {
            self.doubt(stamp, true, now);
        }
    }

    /// Takes in what is known of a file.
    pub(super) fn know_as(&mut self, stamp: Stamp, known: Known, now: Instant) {
        self.know(stamp, Content::Read(known.outcome));
        self.set_assurance(stamp.file(), |assurance| {
            assurance.excerpt = known.excerpt;
            assurance.whole = known.is_compared.then_some(now + quiet(&stamp));
        });
    }

    /// What is known of a file, to be kept.
    fn known(&self, id: &FileId) -> Option<Known> {
        let file = self.files.get(id)?;
        let Content::Read(outcome) = &file.content else { return None };
        let assurance = &file.assurance;
        Some(Known {
            outcome: outcome.clone(),
            changed_ns: file.stamp.changed_ns,
            excerpt: assurance.excerpt,
            is_compared: assurance.whole.is_some(),
        })
    }

    /// Whether it is still to be found out if a file holds what it held.
    pub fn is_in_doubt(&self) -> bool {
        !self.doubted.is_empty() || self.comparing > 0
    }

    /// When the next file is to be compared.
    pub fn next_doubt(&self) -> Option<Instant> {
        let mut idle = self.doubted.iter().filter(|(_, id)| !self.at_work.contains_key(id));
        idle.next().map(|(since, _)| *since + GRACE)
    }

    /// The next files to compare with what is known of them, each of which is to be reported through
    /// [`Self::compared`].
    pub fn start_comparing(&mut self, now: Instant) -> Vec<(Sighting, Evidence)> {
        let due = self.doubted.iter().take_while(|(since, _)| *since + GRACE <= now);
        let due = due.map(|(_, id)| *id).filter(|id| !self.at_work.contains_key(id));
        let due: Vec<FileId> = due.take(BATCH).collect();
        let mut sightings = Vec::new();
        for id in due {
            self.set_assurance(id, |assurance| {
                (assurance.doubted, assurance.is_touched) = (None, false);
            });
            let Some(file) = self.files.get(&id) else { continue };
            let stamp = file.stamp;
            match evidence(file).zip(file.paths.iter().min().cloned()) {
                Some((evidence, path)) => {
                    sightings.push((Sighting { path, stamp }, evidence));
                    self.at_work.insert(id, false);
                    self.comparing += 1;
                }
                // What is known by its header alone is soon read again.
                None => self.know(stamp, Content::Unread),
            }
        }
        sightings
    }

    /// Takes in whether this file, which is `found` now, `is_same` as it was; what is known of it then, if that
    /// is to be kept.
    pub fn compared(
        &mut self,
        stamp: Stamp,
        found: Option<Stamp>,
        is_same: bool,
        now: Instant,
    ) -> Option<Known> {
        let id = stamp.file();
        self.comparing = self.comparing.saturating_sub(1);
        let is_tainted = self.at_work.remove(&id)?;
        let file =
            self.files.get(&id).filter(|file| !is_tainted && file.stamp.is_same_version(&stamp))?;
        let seen = file.stamp;
        let is_whole = file.assurance.excerpt.is_none();
        match found {
            // It was renamed, or is gone: the next look tells.
            None => self.doubt(seen, false, now),
            Some(found) if !is_same || !found.is_same_version(&seen) => {
                self.know(seen, Content::changed(now));
            }
            Some(found) if found.changed_ns != seen.changed_ns => self.doubt(found, false, now),
            Some(_) => {
                self.set_assurance(id, |assurance| {
                    if assurance.is_suspect && !is_whole {
                        assurance.whole = Some(now + quiet(&seen));
                    }
                    assurance.is_suspect = false;
                });
                return self.known(&id);
            }
        }
        None
    }

    /// When the next file of which only an excerpt was compared is to be read as a whole: a small one as soon as
    /// nothing waits to be read at all, a big one when nothing else is to be read or hashed.
    pub fn next_whole(&self) -> Option<Instant> {
        let small = self.whole_files(true).next();
        small.or_else(|| self.whole_files(false).next()).map(|(due, _)| due)
    }

    /// Those of them that may be read now if it is time to, small ones or big ones.
    fn whole_files(&self, small: bool) -> impl Iterator<Item = (Instant, FileId)> {
        let is_idle =
            self.at_work.is_empty() && self.hashing.is_empty() && self.unhashed.is_empty();
        let may_be_read = self.unread.is_empty() && (small || is_idle);
        let is_meant = move |id: &FileId| {
            let size = self.files.get(id).map_or(0, |file| file.stamp.size);
            may_be_read && (size <= SMALL) == small && !self.at_work.contains_key(id)
        };
        self.whole.iter().copied().filter(move |(_, id)| is_meant(id))
    }

    /// The small ones, each of which is to be reported through [`Self::read`].
    pub fn start_reading_again(&mut self, now: Instant) -> Vec<Sighting> {
        let due = self.whole_files(true).filter(|(due, _)| *due <= now);
        let due: Vec<FileId> = due.map(|(_, id)| id).take(BATCH).collect();
        let mut sightings = Vec::new();
        for id in due {
            self.set_assurance(id, |assurance| assurance.whole = None);
            let Some(file) = self.files.get(&id) else { continue };
            let Some(path) = file.paths.iter().min().cloned() else { continue };
            sightings.push(Sighting { path, stamp: file.stamp });
            self.at_work.insert(id, false);
        }
        sightings
    }

    /// A big one, which is to be reported through [`Self::hashed`].
    pub(super) fn start_whole(&mut self, now: Instant) -> Option<FileId> {
        let (_, id) = self.whole_files(false).next().filter(|(due, _)| *due <= now)?;
        self.set_assurance(id, |assurance| assurance.whole = None);
        Some(id)
    }

    /// Every checkpoint whose content is known.
    pub fn identified(&self) -> Vec<(Sighting, Outcome)> {
        let files = self.files.values().filter_map(|file| {
            let Content::Read(outcome @ Outcome::Identified(_)) = &file.content else {
                return None;
            };
            let path = file.paths.iter().min().filter(|_| !outcome.is_provisional())?.clone();
            Some((Sighting { path, stamp: file.stamp }, outcome.clone()))
        });
        files.collect()
    }

    /// Has a file have this stamp without a word on its content.
    fn restamp(&mut self, stamp: Stamp) {
        let Some(file) = self.files.get_mut(&stamp.file()) else { return };
        file.stamp = stamp;
    }

    fn set_assurance(&mut self, id: FileId, set: impl FnOnce(&mut Assurance)) {
        let Some(file) = self.files.get_mut(&id) else { return };
        let (doubted, whole) = file.assurance.times();
        doubted.map(|since| self.doubted.remove(&(since, id)));
        whole.map(|due| self.whole.remove(&(due, id)));
        set(&mut file.assurance);
        let (doubted, whole) = file.assurance.times();
        doubted.map(|since| self.doubted.insert((since, id)));
        whole.map(|due| self.whole.insert((due, id)));
    }
}

/// What to compare a file with, if its content is known.
fn evidence(file: &File) -> Option<Evidence> {
    match (&file.content, file.assurance.excerpt) {
        (_, Some(excerpt)) => Some(Evidence::Excerpt(excerpt)),
        (Content::Read(outcome @ Outcome::Identified(_)), None) if !outcome.is_provisional() => {
            Some(Evidence::Outcome(outcome.clone()))
        }
        _ => None,
    }
}

fn quiet(stamp: &Stamp) -> Duration {
    if stamp.size > SMALL { LONG_QUIET } else { QUIET }
}

#[cfg(test)]
mod tests;
