use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use checkpoint::Id;
use engine::{Parameter, is_trouble};
use protocol::Finished;
use serde::{Serialize, de::DeserializeOwned};
use tracing::warn;

use crate::{
    cache::{
        Store,
        database::{Database, Part},
    },
    inventory::{Disk as MountedDisk, Homes, Key, Known, Recall, Stamp},
    planner::{InUse, Setback},
};

/// In sled's default tree, which survives a new version of the cache.
const PAUSED: &[u8] = b"paused";
const DISKS: &[u8] = b"disks";
const HOMES: &[u8] = b"homes";
const LIVED: &[u8] = b"lived";

/// The number of ended builds to keep.
const HISTORY: usize = 1000;

/// With fewer free bytes than this, sled can't be expected to work.
const FULL: u64 = 2 << 20;

/// A sled database in the data folder.
///
/// Values are written to it at a flush. After one error, even if the disk was full only briefly, sled refuses
/// everything: then it is reopened, and nothing is lost.
#[derive(Debug)]
pub struct DiskCache {
    dir: PathBuf,
    /// `None` while it can't be opened because the disk is full.
    database: RwLock<Option<Database>>,
    unsaved: Mutex<Unsaved>,
    /// Whether there was an error since it was opened.
    broken: AtomicBool,
    /// Why it can't be written at present.
    problem: Mutex<Option<String>>,
}

/// Unsaved values by tree and key; `None` stands for a deletion.
type Unsaved = BTreeMap<(Part, Vec<u8>), Option<Vec<u8>>>;

impl DiskCache {
    /// Opens or creates the database at `dir`. A broken one is replaced, except if the disk is full, which
    /// may be the only problem. The caller must hold the data folder's lock.
    pub fn open(dir: &Path) -> Self {
        let database = match clear_strangers(dir).and_then(|()| Database::open(dir)) {
            // It may be intact, and the disk full, read-only or broken for a while.
            Err(error) if is_full(dir) || is_trouble(&error) => {
                warn!("{error:#}; what is learned is kept once {} can be written", dir.display());
                None
            }
            Err(error) => {
                warn!("{} is unusable, and is created again: {error:#}", dir.display());
                let new = remove(dir).map_err(Into::into).and_then(|()| Database::open(dir));
                let new = new.with_context(|| format!("cannot make {} again", dir.display()));
                new.map_err(|error| warn!("{error:#}")).ok()
            }
            Ok(database) => Some(database),
        };
        Self {
            dir: dir.to_owned(),
            broken: AtomicBool::new(database.is_none()),
            database: RwLock::new(database),
            unsaved: Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Returns a value; one that does not parse counts as absent.
    fn get<T: DeserializeOwned>(&self, part: Part, key: &[u8]) -> Option<T> {
        if let Some(value) = lock(&self.unsaved).get(&(part, key.to_vec())) {
            return part.decode(value.as_ref()?);
        }
        let found = self.read(|database| database.tree(part).get(key))??;
        part.decode(&found)
    }

    /// Returns all entries of a tree, including unsaved ones.
    fn entries(&self, part: Part) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let all = self.read(|database| {
            let entries = database.tree(part).iter();
            entries.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        });
        let mut all: BTreeMap<_, _> = all.unwrap_or_default();
        for ((_, key), value) in lock(&self.unsaved).iter().filter(|((of, _), _)| *of == part) {
            match value {
                Some(value) => all.insert(key.clone(), value.clone()),
                None => all.remove(key),
            };
        }
        all
    }

    /// Returns `None` if there is no readable database.
    fn read<T>(&self, ask: impl FnOnce(&Database) -> sled::Result<T>) -> Option<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let found = ask(database.as_ref()?);
        found.map_err(|error| self.note(&error.to_string())).ok()
    }

    /// Logs a problem once.
    fn note(&self, error: &str) {
        if !self.broken.swap(true, Ordering::Relaxed) {
            warn!("the cache can't be saved for now: {error}");
        }
    }

    fn put<T: Serialize>(&self, part: Part, key: &[u8], value: Option<&T>) {
        match value.map(|value| part.encode(value)).transpose() {
            Ok(value) => drop(lock(&self.unsaved).insert((part, key.to_vec()), value)),
            Err(error) => warn!("the cache can't be saved: {error:#}"),
        }
    }

    fn save(&self) -> Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
            // It can't be open twice.
            *database = None;
            *database = Some(Database::open(&self.dir)?);
        }
        let unsaved = lock(&self.unsaved).clone();
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = &*database else { return Ok(()) };
        for ((part, key), value) in &unsaved {
            database.put(*part, key, value.as_deref())?;
        }
        database.flush()?;
        // Values that changed meanwhile stay unsaved.
        lock(&self.unsaved).retain(|key, value| unsaved.get(key) != Some(value));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refuses a folder that contains anything but files and folders: opening a pipe would wait for its other
/// end.
fn clear_strangers(dir: &Path) -> Result<()> {
    let is_strange = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_file = fs::symlink_metadata(dir).is_ok_and(|found| !found.is_dir());
    anyhow::ensure!(!is_file, "{} is no folder", dir.display());
    for path in entries {
        anyhow::ensure!(!is_strange(&path), "{} is neither a file nor a folder", path.display());
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Whether the disk of `dir` is almost full.
fn is_full(dir: &Path) -> bool {
    let free = dir.parent().and_then(|dir| rustix::fs::statvfs(dir).ok());
    free.is_some_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < FULL)
}

impl Recall for DiskCache {
    fn known(&self, path: &Path, stamp: &Stamp) -> Option<Known> {
        let key = Key::of(stamp);
        self.get(Part::Outcomes, &key.0).or_else(|| {
            let before = Key(self.get(Part::Places, &place(path))?);
            before.may_be(&key).then(|| self.get(Part::Outcomes, &before.0))?
        })
    }

    fn remember(&self, path: &Path, stamp: &Stamp, known: &Known) {
        let key = Key::of(stamp);
        self.put(Part::Outcomes, &key.0, Some(known));
        self.put(Part::Places, &place(path), Some(&key.0));
    }

    fn forget(&self, stamp: &Stamp) {
        self.put::<Known>(Part::Outcomes, &Key::of(stamp).0, None);
    }

    fn parameters(&self, signature: &Id) -> Option<Vec<Parameter>> {
        self.get(Part::Parameters, signature.to_string().as_bytes())
    }

    fn knows_parameters(&self, signature: &Id) -> bool {
        let key = signature.to_string().into_bytes();
        lock(&self.unsaved).contains_key(&(Part::Parameters, key.clone()))
            || self.read(|database| database.tree(Part::Parameters).contains_key(key)) == Some(true)
    }

    fn set_parameters(&self, signature: &Id, parameters: &[Parameter]) {
        self.put(Part::Parameters, signature.to_string().as_bytes(), Some(&parameters));
    }

    fn disks(&self) -> BTreeMap<PathBuf, MountedDisk> {
        let disks: Vec<(Vec<u8>, MountedDisk)> = self.get(Part::Own, DISKS).unwrap_or_default();
        disks.into_iter().map(|(path, disk)| (OsString::from_vec(path).into(), disk)).collect()
    }

    fn set_disks(&self, disks: &BTreeMap<PathBuf, MountedDisk>) {
        // Paths need not be UTF-8.
        let disks = disks.iter().map(|(path, disk)| (path.as_os_str().as_bytes(), disk));
        self.put(Part::Own, DISKS, Some(&disks.collect::<Vec<_>>()));
    }

    fn homes(&self) -> Homes {
        let homes: BTreeMap<String, _> = self.get(Part::Own, HOMES).unwrap_or_default();
        let homes = homes.into_iter().filter_map(|(id, homes)| Some((id.parse().ok()?, homes)));
        homes.collect()
    }

    fn set_homes(&self, homes: &Homes) {
        let homes: BTreeMap<String, _> =
            homes.iter().map(|(id, homes)| (id.to_string(), homes)).collect();
        self.put(Part::Own, HOMES, Some(&homes));
    }
}

impl Store for DiskCache {
    fn setbacks(&self) -> HashMap<Id, Setback> {
        by_id(Part::Setbacks, self.entries(Part::Setbacks))
    }

    fn shapes(&self) -> BTreeMap<Id, InUse> {
        by_id(Part::Shapes, self.entries(Part::Shapes))
    }

    fn set_shapes(&self, signature: &Id, shapes: Option<&InUse>) {
        self.put(Part::Shapes, signature.to_string().as_bytes(), shapes);
    }

    fn set_back(&self, engine: &Id, setback: Option<&Setback>) {
        self.put(Part::Setbacks, engine.to_string().as_bytes(), setback);
    }

    fn history(&self) -> Vec<Finished> {
        let newest_first = self.entries(Part::History).into_values().rev();
        newest_first.filter_map(|value| Part::History.decode(&value)).collect()
    }

    fn record(&self, finished: &Finished) {
        let entries = self.entries(Part::History);
        let number = |key: &Vec<u8>| key[..].try_into().map(u64::from_be_bytes).unwrap_or(0);
        let next = entries.keys().next_back().map_or(0, |key| number(key).saturating_add(1));
        self.put(Part::History, &next.to_be_bytes(), Some(finished));
        for oldest in entries.keys().take((entries.len() + 1).saturating_sub(HISTORY)) {
            self.put::<Finished>(Part::History, oldest, None);
        }
    }

    fn record_hashed(&self, before: &Id, weights: &Id) {
        for (key, value) in self.entries(Part::History) {
            let Some(finished) = Part::History.decode::<Finished>(&value) else { continue };
            if finished.weights_id == *before {
                let finished = Finished { weights_id: *weights, ..finished };
                self.put(Part::History, &key, Some(&finished));
            }
        }
    }

    fn lived_s(&self) -> u64 {
        self.get(Part::Own, LIVED).unwrap_or_default()
    }

    fn set_lived_s(&self, seconds: u64) {
        self.put(Part::Own, LIVED, Some(&seconds));
    }

    fn is_paused(&self) -> bool {
        self.get(Part::Own, PAUSED).unwrap_or(false)
    }

    fn set_paused(&self, paused: bool) {
        self.put(Part::Own, PAUSED, paused.then_some(&true));
    }

    fn flush(&self) -> Result<()> {
        let saved = self.save();
        match &saved {
            Ok(()) => {
                self.broken.store(false, Ordering::Relaxed);
                *lock(&self.problem) = None;
            }
            Err(error) => {
                let dir = self.dir.display();
                self.note(&format!("{error:#}"));
                *lock(&self.problem) = Some(format!("{dir} can't be written: {error:#}"));
            }
        }
        saved
    }

    fn problem(&self) -> Option<String> {
        lock(&self.problem).clone()
    }
}

/// Returns the entries that parse in a tree whose keys are ids.
fn by_id<T: DeserializeOwned, C: FromIterator<(Id, T)>>(
    part: Part,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
) -> C {
    let parsed = entries.into_iter().filter_map(|(key, value)| {
        let id = std::str::from_utf8(&key).ok()?.parse().ok()?;
        Some((id, part.decode(&value)?))
    });
    parsed.collect()
}

fn place(path: &Path) -> Vec<u8> {
    blake3::hash(path.as_os_str().as_bytes()).as_bytes()[..16].to_vec()
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
