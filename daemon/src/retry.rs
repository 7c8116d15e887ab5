//! What failed, and when it may be tried again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use checkpoint::Id;
use tokio::time::{Duration, Instant};
use tracing::warn;

use crate::{
    cache::Store,
    planner::{BACK_OFF, Setback},
};

/// A worker that dies this often without a word is not started again by itself.
const DEATHS: u32 = 3;

/// What is known of jobs that failed.
pub(crate) struct Retry {
    /// Why a job is not done until it is asked for.
    setbacks: HashMap<Id, Setback>,
    /// How often the worker of a job died without a word.
    deaths: HashMap<Id, u32>,
    /// When a job ran out of a GPU's memory.
    ran_out: HashMap<Id, Instant>,
    /// UNets whose weights engines can't compute with: others are taken for validations.
    unfit: HashSet<Id>,
    store: Arc<dyn Store>,
}

impl Retry {
    /// As it was when the daemon ended last, as far as that outlives it.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            setbacks: store.setbacks(),
            deaths: HashMap::new(),
            ran_out: HashMap::new(),
            unfit: HashSet::new(),
            store,
        }
    }

    /// Why jobs are not done until they are asked for.
    pub(crate) fn setbacks(&self) -> &HashMap<Id, Setback> {
        &self.setbacks
    }

    /// UNets whose weights engines can't compute with.
    pub(crate) fn unfit(&self) -> &HashSet<Id> {
        &self.unfit
    }

    /// How long ago jobs ran out of a GPU's memory.
    pub(crate) fn ran_out(&self) -> HashMap<Id, Duration> {
        self.ran_out.iter().map(|(job, since)| (*job, since.elapsed())).collect()
    }

    /// When the next job that ran out of memory may start.
    pub(crate) fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let over = self.ran_out.values().map(|since| *since + BACK_OFF);
        over.filter(|over| *over > now).min()
    }

    /// A job failed for good: it is not done until it is asked for.
    pub(crate) fn record_failure(&mut self, job: Id, reason: String) {
        self.set_back(job, Some(Setback::Failed(reason)));
    }

    /// Somebody removed an engine: it is not built until it is asked for.
    pub(crate) fn record_removal(&mut self, engine: Id) {
        self.set_back(engine, Some(Setback::Removed));
    }

    /// A job is to be done as if it had never failed.
    pub(crate) fn record_fresh_start(&mut self, job: Id) {
        if self.setbacks.contains_key(&job) {
            self.set_back(job, None);
        }
        self.record_end(&job);
    }

    /// Whatever a job's failure was due to may be gone.
    pub(crate) fn forgive(&mut self, job: Id) {
        self.set_back(job, None);
    }

    /// A job went well.
    pub(crate) fn record_end(&mut self, job: &Id) {
        self.deaths.remove(job);
        self.ran_out.remove(job);
    }

    /// The worker of a job died without a word. Gives the reason not to try again, once that has happened often
    /// enough.
    pub(crate) fn record_death(&mut self, job: Id, reason: String) -> Option<String> {
        let deaths = self.deaths.entry(job).or_default();
        *deaths += 1;
        if *deaths < DEATHS {
            warn!("{reason}; trying again");
            return None;
        }
        Some(format!("{reason}; this happened {deaths} times"))
    }

    /// A job ran out of a GPU's memory. Gives the reason not to try again, the second time.
    pub(crate) fn record_out_of_memory(&mut self, job: Id, reason: String) -> Option<String> {
        if self.ran_out.remove(&job).is_some() {
            return Some(reason);
        }
        warn!("{reason}; trying once more after {} s", BACK_OFF.as_secs());
        self.ran_out.insert(job, Instant::now());
        None
    }

    /// Engines can't compute with the weights of this UNet.
    pub(crate) fn record_unfit(&mut self, unet: Id) {
        self.unfit.insert(unet);
    }

    /// A UNet has this id from now on.
    pub(crate) fn record_hashed(&mut self, before: &Id, unet: Id) {
        if self.unfit.remove(before) {
            self.unfit.insert(unet);
        }
    }

    /// No UNet is left that is not known to be unfit: all are tried once more if asked to.
    pub(crate) fn forget_unfit(&mut self) {
        self.unfit.clear();
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.setbacks.is_empty() && self.deaths.is_empty()
    }

    fn set_back(&mut self, job: Id, setback: Option<Setback>) {
        self.store.set_back(&job, setback.as_ref());
        match setback {
            Some(setback) => self.setbacks.insert(job, setback),
            None => self.setbacks.remove(&job),
        };
    }
}
