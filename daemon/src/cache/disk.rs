use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result};
use checkpoint::{Excerpt, Id};
use engine::Parameter;
use protocol::Finished;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::warn;

use crate::{
    cache::{
        Store,
        excerpts::Excerpts,
        part::{ANY_SETBACKS, Part, excerpts},
        table::{Table, replace},
    },
    inventory::{Disk as MountedDisk, ExcerptKey, Homes, Key, Known, Names, Recall, Stamp},
    planner::{InUse, Paused, Setback},
};

/// Keys of [`Part::Own`].
const PAUSED: &[u8] = b"paused";
const DISKS: &[u8] = b"disks";
const HOMES: &[u8] = b"homes";
const LIVED: &[u8] = b"lived";

/// The number of ended builds to keep.
const HISTORY: usize = 1000;

/// What was learned, in a folder: a table for each kind of thing, read when it is needed first and in memory from
/// then on. A flush writes those that have changed; after an error, even if the disk was full only briefly, the next
/// one does.
#[derive(Debug)]
pub struct DiskCache {
    dir: PathBuf,
    tables: BTreeMap<Part, Mutex<Table>>,
    excerpts: Excerpts,
    /// Held while tables are written.
    saving: Mutex<()>,
    /// Why it can't be written at present.
    problem: Mutex<Option<String>>,
}

impl DiskCache {
    /// Opens or creates the folder `dir`. The caller must hold the data folder's lock.
    pub fn open(dir: &Path) -> Self {
        let table = |part: Part| (part, Mutex::new(Table::new(dir.join(part.file_name()))));
        let store = Self {
            dir: dir.to_owned(),
            tables: Part::ALL.into_iter().map(table).collect(),
            excerpts: Excerpts::new(dir.join(excerpts())),
            saving: Mutex::default(),
            problem: Mutex::default(),
        };
        if let Err(error) = store.clear() {
            warn!("{error:#}; what is learned is kept once {} can be written", dir.display());
        }
        store
    }

    /// Removes what lies in place of the folder, and what lies in it of older versions.
    fn clear(&self) -> Result<()> {
        if fs::symlink_metadata(&self.dir).is_ok_and(|found| !found.is_dir()) {
            warn!("{} is no folder, and is made again", self.dir.display());
            remove(&self.dir)?;
        }
        self.make_dir()?;
        let mut current = vec![excerpts()];
        current.extend(Part::ALL.iter().map(|part| part.file_name()));
        let entries = fs::read_dir(&self.dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.with_context(|| format!("cannot list {}", self.dir.display()))?;
        for path in entries.into_iter().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if current.iter().any(|current| *current == name) {
                continue;
            }
            if name.starts_with(ANY_SETBACKS) {
                self.keep_removals(&path)?;
            }
            remove(&path)?;
        }
        Ok(())
    }

    /// Keeps users' removals of engines: they are not failures, and hold whatever release recorded them.
    fn keep_removals(&self, older: &Path) -> Result<()> {
        let older = Table::new(older.to_owned()).entries()?.clone();
        for (engine, setback) in older {
            if Part::Setbacks.decode(&setback) == Some(Setback::Removed) {
                self.table(Part::Setbacks).put(&engine, Some(setback.into_vec()));
            }
        }
        self.save()
    }

    fn make_dir(&self) -> Result<()> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))
    }

    fn table(&self, part: Part) -> MutexGuard<'_, Table> {
        lock(&self.tables[&part])
    }

    /// Returns a value; one that does not parse counts as absent.
    fn get<T: DeserializeOwned>(&self, part: Part, key: &[u8]) -> Option<T> {
        part.decode(self.table(part).get(key).ok()??)
    }

    /// Returns all entries of a table by key.
    fn entries(&self, part: Part) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut table = self.table(part);
        let entries = table.entries().into_iter().flatten();
        entries.map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    }

    fn put<T: Serialize>(&self, part: Part, key: &[u8], value: Option<&T>) {
        match value.map(|value| part.encode(value)).transpose() {
            Ok(value) => self.table(part).put(key, value),
            Err(error) => warn!("the cache can't be saved: {error:#}"),
        }
    }

    fn save(&self) -> Result<()> {
        let _saving = lock(&self.saving);
        self.make_dir()?;
        let outdated = self.excerpts.take_outdated();
        for table in self.tables.values() {
            let (path, unsaved) = {
                let mut table = lock(table);
                (table.path().to_owned(), table.unsaved())
            };
            // The loop goes on while the disk is slow.
            let saved = unsaved.and_then(|unsaved| {
                let Some(unsaved) = unsaved else { return Ok(()) };
                replace(&path, &unsaved.content)?;
                lock(table).record_saved(&unsaved);
                Ok(())
            });
            saved.with_context(|| format!("cannot write {}", path.display()))?;
        }
        self.excerpts.remove(outdated);
        Ok(())
    }

    /// What was known of this file is replaced by this.
    fn replace_known(&self, key: &Key, known: Option<&Known>) {
        let before = self.get::<Known>(Part::Outcomes, &key.0).and_then(|known| known.excerpt);
        let now = known.and_then(|known| known.excerpt);
        let outdated = before.filter(|before| now != Some(*before));
        outdated.into_iter().for_each(|key| self.excerpts.record_outdated(key));
        self.put(Part::Outcomes, &key.0, known);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove(path: &Path) -> Result<()> {
    let removed = if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
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
        self.replace_known(&key, Some(known));
        self.put(Part::Places, &place(path), Some(&key.0));
    }

    fn forget(&self, stamp: &Stamp) {
        self.replace_known(&Key::of(stamp), None);
        self.set_names(stamp, None);
    }

    fn names(&self, stamp: &Stamp) -> Option<Names> {
        self.get(Part::Names, &Key::of(stamp).0)
    }

    fn set_names(&self, stamp: &Stamp, names: Option<&Names>) {
        self.put(Part::Names, &Key::of(stamp).0, names);
    }

    fn keep_excerpt(&self, excerpt: &Excerpt) -> ExcerptKey {
        self.excerpts.keep(excerpt)
    }

    fn excerpt(&self, key: &ExcerptKey) -> Option<Excerpt> {
        self.excerpts.get(key)
    }

    fn parameters(&self, signature: &Id) -> Option<Vec<Parameter>> {
        self.get(Part::Parameters, signature.to_string().as_bytes())
    }

    fn knows_parameters(&self, signature: &Id) -> bool {
        let key = signature.to_string();
        self.table(Part::Parameters).get(key.as_bytes()).is_ok_and(|found| found.is_some())
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

    fn paused(&self) -> Option<Paused> {
        match self.get(Part::Own, PAUSED)? {
            Value::Bool(true) => Some(Paused { until_s: None }),
            Value::Number(until) => Some(Paused { until_s: until.as_u64() }),
            _ => None,
        }
    }

    fn set_paused(&self, paused: Option<Paused>) {
        let until = paused.map(|paused| paused.until_s.map_or(Value::Bool(true), Value::from));
        self.put(Part::Own, PAUSED, until.as_ref());
    }

    fn flush(&self) -> Result<()> {
        let saved = self.save();
        let dir = self.dir.display();
        let problem =
            saved.as_ref().err().map(|error| format!("{dir} can't be written: {error:#}"));
        let before = std::mem::replace(&mut *lock(&self.problem), problem.clone());
        if let Some(problem) = problem.filter(|problem| before.as_ref() != Some(problem)) {
            warn!("{problem}");
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
