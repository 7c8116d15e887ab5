use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Mutex,
};

use anyhow::{Result, anyhow};
use checkpoint::{Excerpt, Id};
use engine::Parameter;
use protocol::Finished;

use crate::{
    cache::Store,
    inventory::{Disk, ExcerptKey, Homes, Key, Known, Names, Recall, Stamp},
    planner::{InUse, Paused, Setback},
};

/// A store in memory, lost when dropped.
#[derive(Debug, Default)]
pub struct MemoryCache {
    known: Mutex<HashMap<Key, Known>>,
    places: Mutex<HashMap<PathBuf, Key>>,
    names: Mutex<HashMap<Key, Names>>,
    excerpts: Mutex<HashMap<ExcerptKey, Excerpt>>,
    setbacks: Mutex<HashMap<Id, Setback>>,
    history: Mutex<Vec<Finished>>,
    paused: Mutex<Option<Paused>>,
    disks: Mutex<BTreeMap<PathBuf, Disk>>,
    homes: Mutex<Homes>,
    lived_s: Mutex<u64>,
    parameters: Mutex<HashMap<Id, Vec<Parameter>>>,
    shapes: Mutex<BTreeMap<Id, InUse>>,
    problem: Mutex<Option<String>>,
}

impl MemoryCache {
    /// Makes writing fail for this reason, or succeed again.
    pub fn set_problem(&self, problem: Option<&str>) {
        *self.problem.lock().unwrap() = problem.map(str::to_owned);
    }
}

impl Recall for MemoryCache {
    fn known(&self, path: &Path, stamp: &Stamp) -> Option<Known> {
        let (key, known) = (Key::of(stamp), self.known.lock().unwrap());
        let places = self.places.lock().unwrap();
        let before = || places.get(path).filter(|before| before.may_be(&key));
        known.get(&key).or_else(|| known.get(before()?)).cloned()
    }

    fn remember(&self, path: &Path, stamp: &Stamp, known: &Known) {
        self.known.lock().unwrap().insert(Key::of(stamp), known.clone());
        self.places.lock().unwrap().insert(path.to_owned(), Key::of(stamp));
    }

    fn forget(&self, stamp: &Stamp) {
        self.known.lock().unwrap().remove(&Key::of(stamp));
        self.set_names(stamp, None);
    }

    fn names(&self, stamp: &Stamp) -> Option<Names> {
        self.names.lock().unwrap().get(&Key::of(stamp)).cloned()
    }

    fn set_names(&self, stamp: &Stamp, names: Option<&Names>) {
        let mut known = self.names.lock().unwrap();
        match names {
            Some(names) => known.insert(Key::of(stamp), names.clone()),
            None => known.remove(&Key::of(stamp)),
        };
    }

    fn keep_excerpt(&self, excerpt: &Excerpt) -> ExcerptKey {
        let mut excerpts = self.excerpts.lock().unwrap();
        let key = ExcerptKey::of(&[excerpts.len() as u8]);
        excerpts.insert(key, excerpt.clone());
        key
    }

    fn excerpt(&self, key: &ExcerptKey) -> Option<Excerpt> {
        self.excerpts.lock().unwrap().get(key).cloned()
    }

    fn parameters(&self, signature: &Id) -> Option<Vec<Parameter>> {
        self.parameters.lock().unwrap().get(signature).cloned()
    }

    fn knows_parameters(&self, signature: &Id) -> bool {
        self.parameters.lock().unwrap().contains_key(signature)
    }

    fn set_parameters(&self, signature: &Id, parameters: &[Parameter]) {
        self.parameters.lock().unwrap().insert(*signature, parameters.to_vec());
    }

    fn disks(&self) -> BTreeMap<PathBuf, Disk> {
        self.disks.lock().unwrap().clone()
    }

    fn set_disks(&self, disks: &BTreeMap<PathBuf, Disk>) {
        self.disks.lock().unwrap().clone_from(disks);
    }

    fn homes(&self) -> Homes {
        self.homes.lock().unwrap().clone()
    }

    fn set_homes(&self, homes: &Homes) {
        self.homes.lock().unwrap().clone_from(homes);
    }
}

impl Store for MemoryCache {
    fn setbacks(&self) -> HashMap<Id, Setback> {
        self.setbacks.lock().unwrap().clone()
    }

    fn shapes(&self) -> BTreeMap<Id, InUse> {
        self.shapes.lock().unwrap().clone()
    }

    fn set_shapes(&self, signature: &Id, shapes: Option<&InUse>) {
        let mut all = self.shapes.lock().unwrap();
        match shapes {
            Some(shapes) => all.insert(*signature, shapes.clone()),
            None => all.remove(signature),
        };
    }

    fn set_back(&self, engine: &Id, setback: Option<&Setback>) {
        let mut setbacks = self.setbacks.lock().unwrap();
        match setback {
            Some(setback) => setbacks.insert(*engine, setback.clone()),
            None => setbacks.remove(engine),
        };
    }

    fn history(&self) -> Vec<Finished> {
        self.history.lock().unwrap().clone()
    }

    fn record(&self, finished: &Finished) {
        self.history.lock().unwrap().insert(0, finished.clone());
    }

    fn record_hashed(&self, before: &Id, weights: &Id) {
        let mut history = self.history.lock().unwrap();
        for finished in history.iter_mut().filter(|finished| finished.weights_id == *before) {
            finished.weights_id = *weights;
        }
    }

    fn lived_s(&self) -> u64 {
        *self.lived_s.lock().unwrap()
    }

    fn set_lived_s(&self, seconds: u64) {
        *self.lived_s.lock().unwrap() = seconds;
    }

    fn paused(&self) -> Option<Paused> {
        *self.paused.lock().unwrap()
    }

    fn set_paused(&self, paused: Option<Paused>) {
        *self.paused.lock().unwrap() = paused;
    }

    fn flush(&self) -> Result<()> {
        self.problem().map_or(Ok(()), |problem| Err(anyhow!(problem)))
    }

    fn problem(&self) -> Option<String> {
        self.problem.lock().unwrap().clone()
    }
}
