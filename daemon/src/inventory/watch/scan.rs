use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Disk, Unwatched,
    way::{End, Way},
};
use crate::inventory::{Aliases, whereabouts::Away};

/// What one look at a models folder found beside files. No file was opened for it.
#[derive(Debug, Default)]
pub struct Scan {
    /// Places that could not be looked at, and why.
    pub(crate) away: Away,
    /// The models folder itself is not there.
    pub(crate) is_missing: bool,
    /// The disk of the models folder, of each place in it where another is mounted or was and may be again, and of
    /// what each link in it leads to.
    pub(crate) disks: BTreeMap<PathBuf, Disk>,
    /// What the models folder and links in it are without links, where that is another path.
    pub(crate) links: BTreeMap<PathBuf, PathBuf>,
    /// Folders that a way to it leads through.
    pub(crate) passed: BTreeSet<PathBuf>,
    /// What the ways lead to, or would.
    pub(crate) targets: BTreeSet<PathBuf>,
    /// What was found on the way to the models folder.
    pub(crate) trail: Vec<(u64, u64)>,
    /// Other paths of folders than those by which they were walked through.
    pub(crate) aliases: Aliases,
    /// Whether something may change without an event.
    pub(crate) is_silent: bool,
    /// The way to the models folder can't be watched whole.
    pub(crate) is_blind: bool,
    /// So many folders are watched.
    pub(crate) watched: usize,
    pub(crate) unwatched: Option<Unwatched>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Scan {
    /// What is wrong with the models folder `dir`.
    pub(crate) fn problem(&self, dir: &Path) -> Option<String> {
        let sentence = |(place, why): (&PathBuf, &String)| format!("{} {why}", place.display());
        let more = match self.away.len() {
            0 | 1 => String::new(),
            places => format!("; and {} more places can't be looked at", places - 1),
        };
        let first = self.away.get_key_value(dir).or_else(|| self.away.first_key_value());
        let first = first.map(|first| sentence(first) + &more);
        first.or_else(|| self.unwatched.as_ref().map(|unwatched| unwatched.problem.clone()))
    }

    /// Whether `path` can't be looked at.
    pub(super) fn is_away(&self, path: &Path) -> bool {
        path.ancestors().any(|around| self.away.contains_key(around))
    }

    /// Whether what is mounted at `point` may lie in, around or on the way to the models folder.
    pub(crate) fn concerns(&self, point: &Path) -> bool {
        self.passed.iter().any(|folder| folder.starts_with(point))
            || self
                .targets
                .iter()
                .any(|target| target.starts_with(point) || point.starts_with(target))
    }

    /// Takes in the way of `path`.
    pub(super) fn record_way(&mut self, path: &Path, way: &Way) {
        self.passed.extend(way.steps.iter().map(|(folder, _)| folder.clone()));
        self.targets.insert(way.target().to_owned());
        if let End::At(real) = &way.end
            && real != path
        {
            self.links.insert(path.to_owned(), real.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_around_below_and_on_the_way_concern_a_folder() {
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        let scan = Scan {
            passed: paths(&["/", "/home", "/home/u", "/data"]),
            targets: paths(&["/data/models", "/mnt/disk/more"]),
            ..Scan::default()
        };
        for (point, concerns) in [
            ("/data/models", true),
            ("/data/models/sub", true),
            ("/data", true),
            ("/home/u", true),
            ("/mnt/disk", true),
            ("/", true),
            ("/home/u/other", false),
            ("/data/modelsuit", false),
            ("/snap/core", false),
        ] {
            assert_eq!(scan.concerns(Path::new(point)), concerns, "{point}");
        }
    }
}
