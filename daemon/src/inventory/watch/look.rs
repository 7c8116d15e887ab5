//! One look at one models folder.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use config::Ignored;

use super::{
    Disk, Notifier, Pulse, Scan, Ways, mount_table::MountTable, mounts, walk::walk, way::Way,
};
use crate::inventory::Stamp;

/// Files that are handed over at a time: they can be taken in while the look goes on.
const HANDFUL: usize = 512;

/// What is to be looked at, and what is known of it.
pub(crate) struct LookOrder {
    /// The models folder.
    pub(crate) dir: Arc<Path>,
    /// Models folders in it, which are looked at by themselves.
    pub(crate) nested: Vec<Arc<Path>>,
    /// Which look it is.
    pub(crate) round: u64,
    /// The disks that were found in it, as [`Scan::disks`].
    pub(crate) disks: BTreeMap<PathBuf, Disk>,
    /// What in it is ignored.
    pub(crate) ignored: Arc<Ignored>,
    pub(crate) notifier: Arc<Mutex<Notifier>>,
    /// So many folders are watched beside those in it.
    pub(crate) watched_elsewhere: usize,
    pub(crate) pulse: Arc<Pulse>,
}

/// Looks at models folders. Any call may take for ever, where a disk hangs.
pub(crate) trait Look: Send + Sync + 'static {
    /// Looks at everything below a models folder, and has every folder and the ways to it watched. Every
    /// checkpoint is handed to `found` with its path, links followed, many at a time; one that is reached twice is
    /// handed over twice.
    fn look(&self, order: &LookOrder, found: &mut dyn FnMut(Vec<(PathBuf, Stamp)>)) -> Scan;

    /// What is found on the way to a models folder, as [`Scan::trail`].
    fn trail(&self, dir: &Path) -> Vec<(u64, u64)>;

    /// Watches the way to this models folder no more.
    fn forget(&self, dir: &Path);
}

/// What is really there.
pub(crate) struct Eyes(pub(crate) Ways);

impl Look for Eyes {
    fn look(&self, order: &LookOrder, found: &mut dyn FnMut(Vec<(PathBuf, Stamp)>)) -> Scan {
        let (started, dir) = (Instant::now(), &order.dir);
        let (table, ways) = (MountTable::read(), &self.0);
        let way = Way::of(dir);
        let mut scan = Scan { trail: way.trail.clone(), ..Scan::default() };
        scan.is_blind = !ways.watch(dir, order.round, &way);
        scan.record_way(dir, &way);
        order.pulse.beat();

        let mut files = Vec::with_capacity(HANDFUL);
        let mut notifier = order.notifier.lock().unwrap_or_else(PoisonError::into_inner);
        let mounted = walk(order, ways, &table, &mut scan, &mut notifier, |file| {
            files.push(file);
            if files.len() == HANDFUL {
                found(mem::replace(&mut files, Vec::with_capacity(HANDFUL)));
            }
        });
        found(files);
        ways.finish(dir, order.round);
        scan.watched = notifier.count() + ways.count();
        scan.unwatched = notifier.finish(order.watched_elsewhere + ways.count());
        scan.is_silent |= scan.unwatched.as_ref().is_some_and(|unwatched| unwatched.folders > 0);
        note_missing(dir, &mut scan);
        let places = order.disks.keys().filter(|place| !scan.disks.contains_key(*place));
        for place in mounts::absent(&places.cloned().collect(), &mounted) {
            note_absent_disk(&place, &mut scan);
        }
        keep_what_is_away(&order.disks, &mut scan);
        scan.took = started.elapsed();
        scan
    }

    fn trail(&self, dir: &Path) -> Vec<(u64, u64)> {
        Way::of(dir).trail
    }

    fn forget(&self, dir: &Path) {
        self.0.forget(dir);
    }
}

fn note_missing(dir: &Path, scan: &mut Scan) {
    if dir.is_dir() {
        return;
    }
    scan.is_missing = true;
    let what = match dir.try_exists() {
        Ok(true) => "is not a folder",
        Ok(false) => "does not exist",
        // The walk has said so.
        Err(_) => return,
    };
    let why = format!("{what}; it is looked for again every few seconds");
    scan.away.insert(dir.to_owned(), why);
}

fn note_absent_disk(place: &Path, scan: &mut Scan) {
    if !scan.is_away(place) {
        let why = "is without its disk, which is not mounted; its engines are kept until it is (if it is not to \
                   return, remove the folder)";
        scan.away.insert(place.to_owned(), why.to_owned());
    }
}

/// What is known of places that can't be looked at now is kept: the disk that returns is known by it.
fn keep_what_is_away(disks: &BTreeMap<PathBuf, Disk>, scan: &mut Scan) {
    for (place, disk) in disks {
        if !scan.disks.contains_key(place) && scan.is_away(place) {
            scan.disks.insert(place.clone(), disk.clone());
        }
    }
}

#[cfg(test)]
mod tests;
