//! What failed, and when it may be tried again.

mod attempts;
mod pauses;

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::Arc,
};

use checkpoint::Id;
use tokio::time::{Duration, Instant};
use tracing::warn;

use attempts::Attempts;
use pauses::{OF_A_JOB, OF_THE_MACHINE, Waiting};

use crate::{
    cache::Store,
    planner::{BACK_OFF, Deadly, Pause, Setback},
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
    /// What is wrong with the machine, so that no job is tried.
    trouble: Option<Waiting>,
    /// What temporarily prevents single jobs.
    pauses: HashMap<Id, Waiting>,
    /// The pause after TensorRT was not found.
    no_runtime: Option<Waiting>,
    attempts: Attempts,
    /// The jobs during which an earlier run of the daemon ended.
    deadly: Deadly,
    store: Arc<dyn Store>,
}

impl Retry {
    /// As it was when the daemon ended last, as far as that outlives it.
    pub(crate) fn new(store: Arc<dyn Store>, data_dir: &Path) -> Self {
        let attempts = Attempts::open(data_dir);
        let deaths = attempts.deaths().iter();
        let pauses = deaths.map(|(job, deaths)| (*job, Waiting::after_deaths(*deaths))).collect();
        Self {
            trouble: None,
            pauses,
            no_runtime: None,
            deadly: attempts.deaths().keys().copied().collect(),
            attempts,
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

    /// Why no job is tried at present.
    pub(crate) fn trouble(&self) -> Option<Pause> {
        self.trouble.as_ref().map(Waiting::pause)
    }

    /// Jobs that failed for a temporary reason.
    pub(crate) fn pauses(&self) -> HashMap<Id, Pause> {
        self.pauses.iter().map(|(job, waiting)| (*job, waiting.pause())).collect()
    }

    /// The jobs during which an earlier run of the daemon ended.
    pub(crate) fn deadly(&self) -> &Deadly {
        &self.deadly
    }

    /// When the next paused job may start.
    pub(crate) fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        let memory = self.ran_out.values().map(|since| *since + BACK_OFF);
        let others = self.trouble.iter().chain(self.pauses.values()).map(|waiting| waiting.until);
        memory.chain(others).filter(|over| *over > now).min()
    }

    /// When to look for TensorRT again.
    pub(crate) fn runtime_deadline(&self) -> Option<Instant> {
        self.no_runtime.as_ref().map(|waiting| waiting.until)
    }

    /// Records that TensorRT is being looked for, if it is time to.
    pub(crate) fn record_sought(&mut self, now: Instant) -> bool {
        let Some(waiting) = self.no_runtime.as_mut().filter(|waiting| waiting.until <= now) else {
            return false;
        };
        waiting.until = now + OF_THE_MACHINE;
        true
    }

    /// Records that TensorRT was looked for, and why it was not found.
    pub(crate) fn record_runtime(&mut self, problem: Option<String>) {
        self.no_runtime =
            problem.map(|why| Waiting::after(self.no_runtime.as_ref(), why, OF_A_JOB));
    }

    /// Records that a job is about to start.
    ///
    /// # Errors
    /// If that can't be written; then it must not start.
    pub(crate) fn record_begin(&mut self, job: &Id) -> io::Result<()> {
        self.attempts.begin(job)
    }

    /// Records that a job has ended, whatever its result, and sdtrtd has not.
    pub(crate) fn record_over(&mut self, job: &Id) {
        self.attempts.end(job);
    }

    /// Pauses all jobs for a while: the machine is to blame.
    pub(crate) fn record_trouble(&mut self, reason: String) {
        if self.trouble.as_ref().is_none_or(|known| known.pause().reason != reason) {
            warn!("{reason}; builds wait until this has passed");
        }
        self.trouble = Some(Waiting::after(self.trouble.as_ref(), reason, OF_THE_MACHINE));
    }

    /// A job showed that the machine is in order.
    pub(crate) fn record_no_trouble(&mut self) {
        self.trouble = None;
    }

    /// Pauses this job for a while: it failed for a temporary reason.
    pub(crate) fn record_pause(&mut self, job: Id, reason: String) {
        warn!("{reason}; tried again later");
        let waiting = Waiting::after(self.pauses.get(&job), reason, OF_A_JOB);
        self.pauses.insert(job, waiting);
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
        self.trouble = None;
        self.record_end(&job);
    }

    /// Whatever a job's failure was due to may be gone.
    pub(crate) fn forgive(&mut self, job: Id) {
        self.set_back(job, None);
    }

    /// A job went well.
    pub(crate) fn record_end(&mut self, job: &Id) {
        self.pauses.remove(job);
        self.deadly.remove(job);
        self.attempts.forget(job);
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

    /// Replaces a UNet's id.
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
