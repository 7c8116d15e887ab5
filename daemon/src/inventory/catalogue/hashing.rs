//! Hashes the content of files that are usable by their headers, when nothing else is to be read.

use std::{path::Path, time::Instant};

use checkpoint::{Id, Ids};

use super::{Catalogue, Content, File, Identity, Sighting};
use crate::inventory::{Known, Outcome, Stamp};

impl Catalogue {
    /// The next files to hash, the newest first: one for each disk that no other is read from. None as long as a
    /// file waits to be read at all. When none is left, one that is known but was only compared since.
    pub fn start_hashing(&mut self, now: Instant) -> Vec<Sighting> {
        if self.is_reading() {
            return Vec::new();
        }
        let mut started = self.unhashed.start(now);
        started.extend(self.start_whole(now));
        self.hashing.extend(started.iter().map(|file| (*file, false)));
        let files = started.iter().filter_map(|file| self.files.get(file)).map(Box::as_ref);
        let sighting = |file: &File| {
            Some(Sighting { path: file.paths.iter().min()?.clone(), stamp: file.stamp })
        };
        files.filter_map(sighting).collect()
    }

    /// Hashes the file with this placeholder id before all others.
    pub fn hash_first(&mut self, weights: &Id) {
        let file = self.provisional(weights).and_then(|path| self.at(path));
        if let Some(file) = file.map(|file| file.stamp.file()) {
            self.unhashed.put_first(file);
        }
    }

    /// Takes in what hashing this file taught; `None` when it changed or went meanwhile, which a look tells.
    /// Gives the ids that it had until now if they were provisional, and those that it has.
    pub fn hashed(
        &mut self,
        stamp: Stamp,
        known: Option<Known>,
        now: Instant,
    ) -> Option<(Ids, Ids)> {
        self.unhashed.end(&stamp);
        let is_tainted = self.hashing.remove(&stamp.file()).unwrap_or(false);
        let file = self.files.get(&stamp.file()).filter(|_| !is_tainted);
        let file = file.filter(|file| file.stamp.is_same_version(&stamp))?;
        let (before, seen) = (identity(file)?.ids, file.stamp);
        let Some(known) = known else {
            if !before.are_provisional() {
                self.doubt(seen, true, now);
            }
            return None;
        };
        let ids = match &known.outcome {
            Outcome::Identified(identity) => Some(identity.ids),
            Outcome::Rejected(_) | Outcome::Unreadable(_) => None,
        };
        self.know_read(seen, known, now);
        before.are_provisional().then_some((before, ids?))
    }

    /// This file, which another machine is reading, is not begun with before then; others may be.
    pub fn put_off(&mut self, stamp: &Stamp, until: Instant) {
        self.unhashed.end(stamp);
        self.hashing.remove(&stamp.file());
        self.unhashed.put_off(stamp.file(), until);
    }

    /// When the next of them may be begun with.
    pub fn next_put_off(&self) -> Option<Instant> {
        self.unhashed.next_put_off().filter(|_| !self.is_reading())
    }

    /// The number of files of which only the header was read, and their bytes.
    pub fn unhashed(&self) -> (usize, u64) {
        self.unhashed.count()
    }

    /// The paths of the files being hashed.
    pub fn hashing(&self) -> impl Iterator<Item = &Path> {
        let files = self.unhashed.started().filter_map(|file| self.files.get(file));
        files.filter_map(|file| file.paths.iter().min().map(|path| &**path))
    }

    /// Whether the content of every file is known.
    pub fn is_all_hashed(&self) -> bool {
        self.is_all_read() && self.unhashed.is_empty()
    }

    /// Where the file lies that this id stands for until its content is known.
    pub fn provisional(&self, weights: &Id) -> Option<&Path> {
        let mut files =
            self.unhashed.files().filter_map(|file| self.files.get(file)).map(Box::as_ref);
        let is_it =
            |file: &&File| identity(file).is_some_and(|known| known.ids.weights == *weights);
        let file = weights.is_provisional().then(|| files.find(is_it))??;
        file.paths.iter().min().map(|path| &**path)
    }
}

fn identity(file: &File) -> Option<&Identity> {
    match &file.content {
        Content::Read(Outcome::Identified(identity)) => Some(identity),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::samples::{self, identified, known, provisional};

    #[test]
    fn what_another_machine_reads_waits_and_the_next_one_comes() {
        let (first, second) = (stamp(1, 1, 9), stamp(1, 2, 5));
        let mut catalogue = catalogue(&[("a", first), ("b", second)]);
        let now = Instant::now();
        let started = |catalogue: &mut Catalogue, now| -> Vec<Stamp> {
            catalogue.start_hashing(now).iter().map(|file| file.stamp).collect()
        };
        assert_eq!(started(&mut catalogue, now), [first]);
        let until = now + Duration::from_secs(3);
        catalogue.put_off(&first, until);
        assert_eq!(catalogue.next_put_off(), Some(until));
        assert_eq!(started(&mut catalogue, now), [second]);
        catalogue.put_off(&second, until + Duration::from_secs(1));
        assert_eq!(started(&mut catalogue, now), []);
        assert_eq!(started(&mut catalogue, until), [first]);
        assert_eq!(catalogue.unhashed().0, 2, "both are still to be hashed");
    }

    fn stamp(device: u64, inode: u64, mtime_ns: i128) -> Stamp {
        Stamp { device, ..samples::stamp(inode, mtime_ns) }
    }

    /// Files whose headers are known.
    fn catalogue(files: &[(&str, Stamp)]) -> Catalogue {
        let mut catalogue = Catalogue::new(Duration::from_secs(3));
        see(&mut catalogue, files);
        catalogue
    }

    fn dir() -> std::sync::Arc<Path> {
        Path::new("/m").into()
    }

    fn see(catalogue: &mut Catalogue, files: &[(&str, Stamp)]) {
        let files = files.iter().map(|(path, stamp)| (PathBuf::from(path), *stamp)).collect();
        catalogue
            .seen(&dir(), files, Instant::now(), |_, stamp| Some(known(stamp, provisional(stamp))));
        catalogue.forget_unseen(&dir());
    }

    fn started(catalogue: &mut Catalogue) -> Vec<String> {
        let started = catalogue.start_hashing(Instant::now());
        started.iter().map(|file| file.path.display().to_string()).collect()
    }

    fn hashed(catalogue: &mut Catalogue, stamp: Stamp, outcome: Outcome) -> Option<(Ids, Ids)> {
        catalogue.hashed(stamp, Some(known(&stamp, outcome)), Instant::now())
    }

    #[test]
    fn the_newest_comes_first_and_each_disk_reads_one_at_a_time() {
        let (old, new, other) = (stamp(1, 1, 10), stamp(1, 2, 20), stamp(2, 1, 5));
        let mut catalogue = catalogue(&[("/m/old", old), ("/m/new", new), ("/n/other", other)]);
        assert_eq!(catalogue.unhashed(), (3, 300));
        assert!(catalogue.is_all_read() && !catalogue.is_all_hashed());
        assert_eq!(started(&mut catalogue), ["/m/new", "/n/other"]);
        assert_eq!(started(&mut catalogue), [""; 0]);
        assert_eq!(catalogue.hashing().collect::<Vec<_>>().len(), 2);

        let (before, now) = hashed(&mut catalogue, new, identified("new")).unwrap();
        assert_eq!(before, Ids::provisional(&new));
        assert!(!now.are_provisional());
        assert_eq!(catalogue.unhashed(), (2, 200));
        assert_eq!(started(&mut catalogue), ["/m/old"]);
        hashed(&mut catalogue, other, identified("other"));
        hashed(&mut catalogue, old, identified("old"));
        assert!(catalogue.is_all_hashed());
        assert_eq!((catalogue.unhashed(), started(&mut catalogue)), ((0, 0), vec![]));
    }

    #[test]
    fn what_somebody_waits_for_comes_before_what_is_newer() {
        let (old, new) = (stamp(1, 1, 10), stamp(1, 2, 20));
        let mut catalogue = catalogue(&[("/m/old", old), ("/m/new", new)]);
        catalogue.hash_first(&Ids::provisional(&old).weights);
        assert_eq!(started(&mut catalogue), ["/m/old"]);
        hashed(&mut catalogue, old, identified("old"));
        assert_eq!(started(&mut catalogue), ["/m/new"]);
    }

    #[test]
    fn whatever_is_to_be_read_at_all_goes_before() {
        let mut catalogue = catalogue(&[("/m/a", stamp(1, 1, 0))]);
        let (new, now) = (stamp(1, 2, 0), Instant::now());
        catalogue.looked(&dir(), Path::new("/m/b"), Some(new), now, |_, _| None);
        catalogue.settled(new, None, now);
        assert_eq!(started(&mut catalogue), [""; 0]);
        catalogue.start_reading();
        assert_eq!(started(&mut catalogue), [""; 0]);
        catalogue.read(new, Some(known(&new, provisional(&new))), now);
        assert_eq!(started(&mut catalogue).len(), 1);
    }

    #[test]
    fn a_file_is_known_by_what_it_is_on_its_disk_until_its_content_is() {
        let it = stamp(1, 1, 0);
        let mut catalogue = catalogue(&[("/m/a", it)]);
        let ids = Ids::provisional(&it);
        assert_eq!(catalogue.provisional(&ids.weights), Some(Path::new("/m/a")));
        catalogue.start_hashing(Instant::now());
        see(&mut catalogue, &[("/m/sub/b", it)]);
        assert_eq!(catalogue.provisional(&ids.weights), Some(Path::new("/m/sub/b")));
        assert_eq!(catalogue.held()[&ids.weights].paths, [Path::new("/m/sub/b")]);
        let (before, now) = hashed(&mut catalogue, it, identified("b")).unwrap();
        assert_eq!(before, ids);
        assert_eq!(catalogue.provisional(&before.weights), None);
        assert_eq!(catalogue.held()[&now.weights].paths, [Path::new("/m/sub/b")]);
    }

    #[test]
    fn two_copies_are_one_checkpoint_once_both_are_hashed() {
        let (one, other) = (stamp(1, 1, 0), stamp(1, 2, 0));
        let mut catalogue = catalogue(&[("/m/a", one), ("/m/b", other)]);
        assert_eq!(catalogue.held().len(), 2);
        hashed(&mut catalogue, one, identified("same"));
        assert_eq!(catalogue.held().len(), 2);
        hashed(&mut catalogue, other, identified("same"));
        let held = catalogue.held();
        assert_eq!(held.values().next().map(|held| held.paths.len()), Some(2));
    }

    #[test]
    fn what_changed_or_went_while_it_was_hashed_teaches_nothing() {
        let (before, after) = (stamp(1, 1, 0), stamp(1, 1, 9));
        let mut catalogue = catalogue(&[("/m/a", before)]);
        catalogue.start_hashing(Instant::now());
        catalogue.looked(&dir(), Path::new("/m/a"), Some(after), Instant::now(), |_, _| None);
        assert_eq!(catalogue.unhashed(), (0, 0));
        assert_eq!(hashed(&mut catalogue, before, identified("old")), None);
        assert!(matches!(
            catalogue.at(Path::new("/m/a")).unwrap().content,
            Content::Settling { .. }
        ));
        catalogue.read(after, Some(known(&after, provisional(&after))), Instant::now());
        assert_eq!(started(&mut catalogue), ["/m/a"], "the disk is free again");
        see(&mut catalogue, &[]);
        assert_eq!(hashed(&mut catalogue, after, identified("new")), None);
        assert!(catalogue.is_all_hashed());
    }

    #[test]
    fn what_cannot_be_hashed_says_why() {
        let it = stamp(1, 1, 0);
        let mut catalogue = catalogue(&[("/m/a", it)]);
        catalogue.start_hashing(Instant::now());
        let broken = Outcome::Unreadable("I/O error".to_owned());
        assert_eq!(hashed(&mut catalogue, it, broken.clone()), None);
        assert_eq!(catalogue.at(Path::new("/m/a")).unwrap().content, Content::Read(broken));
        assert!(catalogue.is_all_hashed());
    }
}
