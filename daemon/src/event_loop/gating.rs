//! Samples the machine's use.

use config::BuildWhen;
use protocol::Failure;
use tokio::time::Instant;

use crate::{
    api::other,
    event::Event,
    gate::{LOOK, Sample, Sampler},
    owners::Owners,
    planner::{Closed, Paused, Place, Work},
    timers::seconds_since_1970,
};

/// A year.
const LONGEST_PAUSE_S: f64 = 366.0 * 86_400.0;

impl Owners {
    /// Samples the machine if it is time to, and only if the result matters: querying keeps a sleeping GPU
    /// awake.
    pub(super) fn look_at_machine(&mut self, now: Instant) {
        let snapshot = self.snapshot();
        let is_at_stake =
            self.clients.queue().iter().any(|want| snapshot.needs_a_look(want)) || self.is_on_gpu();
        let is_held_up = snapshot.held_up().is_some() && snapshot.urgent.is_empty();
        let is_decided = self.config.build == BuildWhen::Always && snapshot.gpus.is_empty();
        if !is_at_stake || is_held_up || is_decided {
            self.gate.rest(self.config.idle());
            return;
        }
        let mailbox = self.mailbox.clone();
        self.gate.look(now, move |sampler, sample| mailbox.send(Event::Sampled(sampler, sample)));
    }

    /// Whether a running job may use a GPU. Which ones do is not known beforehand, so on a machine with a GPU
    /// all count except those in CPU slots.
    fn is_on_gpu(&self) -> bool {
        let mut work = self.jobs.work();
        !self.gate.gpus().is_empty() && !work.all(|work| work.want.takes.place == Place::Aside)
    }

    /// The UUIDs of the GPUs that our jobs use.
    fn on_gpus(&self) -> Vec<String> {
        let uses = |work: &&Work| work.want.takes.gpu_bytes > 0;
        self.jobs.work().filter(uses).filter_map(|work| work.gpu.clone()).collect()
    }

    pub(super) fn record_sample(&mut self, sampler: Box<dyn Sampler>, sample: Sample) {
        let before = self.snapshot().all_awaited();
        let is_waiting =
            matches!(self.snapshot().closed(self.clients.queue()), Some(Closed::Busy(_)));
        let problem = self.gate.problem();
        let at_work = self.on_gpus();
        let Some(look) = self.gate.record_sample(sampler, sample, &at_work) else { return };
        if is_waiting {
            self.metrics.wait.inc_by(LOOK.as_secs_f64());
        }
        if look.is_driver_back {
            self.look_for_runtime(None);
        }
        let used = look.selected.map(|title| self.snapshot().titled(&title));
        let used = used.is_some_and(|used| self.intent.record_use(used));
        // Changed figures alone are not sent.
        let snapshot = self.snapshot();
        let memory_changed = snapshot.memory_changed(self.clients.queue());
        let is_other_problem = self.gate.problem() != problem;
        let used = used || is_other_problem;
        if used || look.is_first || memory_changed || snapshot.all_awaited() != before {
            self.timers.now();
        }
    }

    /// Records a pause of so many seconds.
    ///
    /// # Errors
    /// If it would have no end or be over at once, or can't be written; then it is lost when the daemon ends.
    pub(super) fn record_pause(&mut self, seconds: Option<f64>) -> Result<(), Failure> {
        if let Some(wrong) = seconds.filter(|seconds| !(1.0..=LONGEST_PAUSE_S).contains(seconds)) {
            return Err(other(&format!("a pause of {wrong} s: expected 1 s to a year")));
        }
        let until_s = seconds.map(|seconds| seconds_since_1970() + seconds as u64);
        self.news.paused = true;
        self.set_paused(Some(Paused { until_s }), "paused")
    }

    /// Records the end of a pause.
    ///
    /// # Errors
    /// As [`Self::record_pause`].
    pub(super) fn record_resumption(&mut self) -> Result<(), Failure> {
        self.set_paused(None, "resumed")
    }

    fn set_paused(&mut self, paused: Option<Paused>, done: &str) -> Result<(), Failure> {
        self.intent.record_pause(paused);
        self.timers.now();
        self.save(&format!("{done}, but only until sdtrtd ends"))
    }

    /// Writes the cache; `done` says what took effect even if that fails.
    pub(super) fn save(&mut self, done: &str) -> Result<(), Failure> {
        self.store.flush().map_err(|error| {
            self.timers.learned_but_unsaved();
            other(&format!("{done}: it can't be written down: {error:#}"))
        })
    }
}
