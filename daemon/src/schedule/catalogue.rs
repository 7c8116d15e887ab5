use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use checkpoint::Id;

use super::{Identity, Outcome};
use crate::watch::Stamp;

/// Every checkpoint file by its path, and what is known of its content.
#[derive(Debug)]
pub struct Catalogue {
    locations: BTreeMap<PathBuf, Location>,
    settle: Duration,
}

/// A path at which a checkpoint lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file that was seen there last.
    pub stamp: Stamp,
    /// What is known of it.
    pub content: Content,
}

/// How far the knowledge of a file goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It may still be changing.
    Settling {
        /// When it was last seen to change.
        unchanged_since: Instant,
    },
    /// It has settled and waits to be read.
    Unread,
    /// It is being read.
    Reading,
    /// It was read, now or in an earlier life.
    Read(Outcome),
}

/// One content and everywhere it lies.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// What it is.
    pub identity: &'a Identity,
    /// Its locations, sorted.
    pub paths: Vec<&'a Path>,
    /// The latest change among them, in nanoseconds since 1970.
    pub newest_ns: i128,
}

impl Catalogue {
    /// An empty one. A file counts as settled once unchanged for `settle`.
    pub fn new(settle: Duration) -> Self {
        Self { locations: BTreeMap::new(), settle }
    }

    /// All locations, by path.
    pub fn locations(&self) -> &BTreeMap<PathBuf, Location> {
        &self.locations
    }

    /// Takes in a full scan. `recall` tells what was once learned of a file.
    pub fn scanned(
        &mut self,
        files: BTreeMap<PathBuf, Stamp>,
        now: Instant,
        recall: impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        self.locations.retain(|path, _| files.contains_key(path));
        for (path, stamp) in files {
            self.changed(path, stamp, now, &recall);
        }
    }

    /// Takes in a look at one path, made because something was done to it.
    pub fn looked(
        &mut self,
        path: PathBuf,
        found: Option<Stamp>,
        now: Instant,
        recall: impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        let Some(stamp) = found else {
            self.locations.remove(&path);
            return;
        };
        // Its permissions may be what was done.
        if matches!(
            self.locations.get(&path),
            Some(Location { content: Content::Read(Outcome::Unreadable(_)), .. })
        ) {
            self.locations.remove(&path);
        }
        // Its other names: one file is written to under one of them.
        let others = self.locations.iter().filter(|(_, known)| {
            (known.stamp.device, known.stamp.inode) == (stamp.device, stamp.inode)
        });
        let names: Vec<PathBuf> = others.map(|(path, _)| path.clone()).chain([path]).collect();
        for name in names {
            self.changed(name, stamp, now, &recall);
        }
    }

    fn changed(
        &mut self,
        path: PathBuf,
        stamp: Stamp,
        now: Instant,
        recall: &impl Fn(&Stamp) -> Option<Outcome>,
    ) {
        if self.locations.get(&path).is_some_and(|known| known.stamp == stamp) {
            return;
        }
        // Another name of a file that is known, or a name that a known file had before.
        let content =
            recall(&stamp).map_or(Content::Settling { unchanged_since: now }, Content::Read);
        self.locations.insert(path, Location { stamp, content });
    }

    /// When the next file will have settled, if nothing happens to it.
    pub fn next_settled(&self) -> Option<Instant> {
        self.settling().map(|(_, _, since)| since + self.settle).min()
    }

    /// Files that have had their time to settle. Each is to be looked at once more and reported
    /// through [`Self::settled`] or [`Self::looked`].
    pub fn due(&self, now: Instant) -> Vec<PathBuf> {
        self.settling()
            .filter(|(_, _, since)| *since + self.settle <= now)
            .map(|(path, _, _)| path.to_owned())
            .collect()
    }

    fn settling(&self) -> impl Iterator<Item = (&Path, &Stamp, Instant)> {
        self.locations.iter().filter_map(|(path, location)| match location.content {
            Content::Settling { unchanged_since } => {
                Some((path.as_path(), &location.stamp, unchanged_since))
            }
            _ => None,
        })
    }

    /// Takes in that the file at `path` is still `stamp` when its time is up. While somebody has
    /// it open for writing it is not settled.
    pub fn settled(&mut self, path: &Path, stamp: Stamp, being_written: bool, now: Instant) {
        let Some(location) = self.locations.get_mut(path) else { return };
        if !matches!(location.content, Content::Settling { .. }) || location.stamp != stamp {
            return;
        }
        location.content = if being_written {
            Content::Settling { unchanged_since: now }
        } else {
            Content::Unread
        };
    }

    /// The next file to read, with all its other names marked as being read too.
    pub fn start_reading(&mut self) -> Option<(PathBuf, Stamp)> {
        let (path, stamp) = self
            .locations
            .iter()
            .find(|(_, location)| location.content == Content::Unread)
            .map(|(path, location)| (path.clone(), location.stamp))?;
        for location in self.named(stamp) {
            location.content = Content::Reading;
        }
        Some((path, stamp))
    }

    /// Takes in what reading the file `stamp` taught; `None` when it changed meanwhile.
    pub fn read(&mut self, stamp: Stamp, outcome: Option<&Outcome>, now: Instant) {
        for location in self.named(stamp) {
            match outcome {
                Some(outcome) => location.content = Content::Read(outcome.clone()),
                None if location.content == Content::Reading => {
                    location.content = Content::Settling { unchanged_since: now };
                }
                None => {}
            }
        }
    }

    /// Has the file at `path` read again.
    pub fn reread(&mut self, path: &Path) {
        let Some(stamp) = self.locations.get(path).map(|location| location.stamp) else { return };
        for location in self.named(stamp) {
            if matches!(location.content, Content::Read(_)) {
                location.content = Content::Unread;
            }
        }
    }

    /// All locations of one file.
    fn named(&mut self, stamp: Stamp) -> impl Iterator<Item = &mut Location> {
        self.locations.values_mut().filter(move |location| location.stamp == stamp)
    }

    /// Whether no file is left whose content may be any.
    pub fn is_all_read(&self) -> bool {
        self.locations.values().all(|location| matches!(location.content, Content::Read(_)))
    }

    /// Every content that lies somewhere, by weights id.
    pub fn held(&self) -> HashMap<Id, Held<'_>> {
        let mut held: HashMap<Id, Held<'_>> = HashMap::new();
        for (path, location) in &self.locations {
            let Content::Read(Outcome::Identified(identity)) = &location.content else { continue };
            let entry = held.entry(identity.ids.weights).or_insert_with(|| Held {
                identity,
                paths: Vec::new(),
                newest_ns: i128::MIN,
            });
            entry.paths.push(path);
            entry.newest_ns = entry.newest_ns.max(location.stamp.mtime_ns);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::identified;

    const SETTLE: Duration = Duration::from_secs(3);

    fn stamp(inode: u64, mtime_ns: i128) -> Stamp {
        Stamp { device: 1, inode, size: 100, mtime_ns }
    }

    fn nothing(_: &Stamp) -> Option<Outcome> {
        None
    }

    fn files(files: &[(&str, Stamp)]) -> BTreeMap<PathBuf, Stamp> {
        files.iter().map(|(path, stamp)| (path.into(), *stamp)).collect()
    }

    fn content<'a>(catalogue: &'a Catalogue, path: &str) -> Option<&'a Content> {
        catalogue.locations().get(Path::new(path)).map(|location| &location.content)
    }

    /// One file at `/m/a`, read as `identified("a")`.
    fn known(now: Instant) -> Catalogue {
        let mut catalogue = Catalogue::new(SETTLE);
        catalogue.scanned(files(&[("/m/a", stamp(1, 0))]), now, |_| Some(identified("a")));
        catalogue
    }

    #[test]
    fn a_file_is_read_once_it_has_not_changed_for_the_settle_time() {
        let start = Instant::now();
        let mut catalogue = Catalogue::new(SETTLE);
        catalogue.scanned(files(&[("/m/a", stamp(1, 0))]), start, nothing);
        assert_eq!(catalogue.next_settled(), Some(start + SETTLE));
        assert!(catalogue.due(start + SETTLE / 2).is_empty());

        let written = start + SETTLE / 2;
        catalogue.looked("/m/a".into(), Some(stamp(1, 5)), written, nothing);
        assert!(catalogue.due(start + SETTLE).is_empty(), "it changed meanwhile");

        let due = written + SETTLE;
        assert_eq!(catalogue.due(due), [PathBuf::from("/m/a")]);
        catalogue.settled(Path::new("/m/a"), stamp(1, 5), true, due);
        assert_eq!(catalogue.start_reading(), None, "somebody still has it open");

        catalogue.settled(Path::new("/m/a"), stamp(1, 5), false, due + SETTLE);
        assert_eq!(catalogue.start_reading(), Some(("/m/a".into(), stamp(1, 5))));
        assert_eq!(catalogue.start_reading(), None, "once");
        catalogue.read(stamp(1, 5), Some(&identified("a")), due);
        assert_eq!(content(&catalogue, "/m/a"), Some(&Content::Read(identified("a"))));
        assert_eq!(catalogue.next_settled(), None);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_settles_anew() {
        let now = Instant::now();
        let mut catalogue = Catalogue::new(SETTLE);
        catalogue.scanned(files(&[("/m/a", stamp(1, 0))]), now, nothing);
        catalogue.settled(Path::new("/m/a"), stamp(1, 0), false, now);
        catalogue.start_reading();
        catalogue.looked("/m/a".into(), Some(stamp(1, 1)), now, nothing);
        catalogue.read(stamp(1, 0), Some(&identified("old")), now);
        assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));

        catalogue.settled(Path::new("/m/a"), stamp(1, 1), false, now);
        catalogue.start_reading();
        catalogue.read(stamp(1, 1), None, now);
        assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));
    }

    #[test]
    fn a_known_file_is_never_read_again_wherever_it_goes() {
        let now = Instant::now();
        let recall = |seen: &Stamp| (*seen == stamp(1, 0)).then(|| identified("a"));
        for (what, after) in [
            ("renamed", vec![("/m/b", stamp(1, 0))]),
            ("hard-linked or linked", vec![("/m/a", stamp(1, 0)), ("/n/b", stamp(1, 0))]),
        ] {
            let mut catalogue = known(now);
            catalogue.scanned(files(&after), now, recall);
            assert_eq!(catalogue.start_reading(), None, "{what}");
            assert_eq!(catalogue.next_settled(), None, "{what}");
            let held = catalogue.held();
            let paths = &held.values().next().unwrap().paths;
            let expected: Vec<&Path> = after.iter().map(|(path, _)| Path::new(path)).collect();
            assert_eq!((held.len(), paths), (1, &expected), "{what}");
        }
        let mut catalogue = known(now);
        catalogue.scanned(files(&[]), now, recall);
        assert!(catalogue.held().is_empty(), "deleted");
        catalogue.scanned(files(&[("/m/back", stamp(1, 0))]), now, recall);
        assert_eq!(catalogue.held().len(), 1, "put back");
    }

    #[test]
    fn what_is_written_under_one_name_changes_under_all() {
        let now = Instant::now();
        let mut catalogue = Catalogue::new(SETTLE);
        let both = files(&[("/m/a", stamp(1, 0)), ("/m/b", stamp(1, 0))]);
        catalogue.scanned(both, now, |_| Some(identified("a")));
        catalogue.looked("/m/a".into(), Some(stamp(1, 9)), now, nothing);
        for path in ["/m/a", "/m/b"] {
            assert!(matches!(content(&catalogue, path), Some(Content::Settling { .. })), "{path}");
        }
    }

    #[test]
    fn one_reading_serves_every_name_of_a_file() {
        let now = Instant::now();
        let mut catalogue = Catalogue::new(SETTLE);
        catalogue.scanned(files(&[("/m/a", stamp(1, 0))]), now, nothing);
        catalogue.settled(Path::new("/m/a"), stamp(1, 0), false, now);
        catalogue.start_reading();
        catalogue.scanned(files(&[("/m/renamed", stamp(1, 0))]), now, nothing);
        catalogue.read(stamp(1, 0), Some(&identified("a")), now);
        assert_eq!(content(&catalogue, "/m/renamed"), Some(&Content::Read(identified("a"))));
    }

    #[test]
    fn an_unreadable_file_is_tried_again_when_something_is_done_to_it() {
        let now = Instant::now();
        let mut catalogue = Catalogue::new(SETTLE);
        let unreadable = Outcome::Unreadable("no permission".into());
        let scan = || files(&[("/m/a", stamp(1, 0))]);
        catalogue.scanned(scan(), now, |_| Some(unreadable.clone()));
        catalogue.scanned(scan(), now, nothing);
        assert_eq!(content(&catalogue, "/m/a"), Some(&Content::Read(unreadable)));
        catalogue.looked("/m/a".into(), Some(stamp(1, 0)), now, nothing);
        assert!(matches!(content(&catalogue, "/m/a"), Some(Content::Settling { .. })));
    }
}
