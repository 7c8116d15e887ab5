//! What a watcher receives, and the state that follows from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Building, Checkpoint, EntryKey, Gpu, Hashing, ModelsDir, Queued, Runtime, State, Status,
    StoreStatus,
};

/// What a watcher receives: first everything, then each change of what `status` and `list` show, except for passing
/// time ([`crate::Daemon::uptime_s`], [`Building::elapsed_s`]). [`Overview::apply`] applies it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", content = "value", rename_all = "snake_case")]
pub enum Event {
    /// Everything: the first event, and again if a client fell behind.
    State {
        /// As `status` shows it.
        status: Box<Status>,
        /// As `list` shows it.
        checkpoints: Vec<Checkpoint>,
    },
    /// An entry of `list` is new or has changed.
    Checkpoint(Checkpoint),
    /// The entry with this [`Checkpoint::key`] is gone.
    Gone(EntryKey),
    /// The running jobs: one made progress, started or ended.
    Building(Vec<Building>),
    /// The waiting jobs.
    Queue(Vec<Queued>),
    /// [`Status::paused`].
    Paused(bool),
    /// [`Status::paused_until`].
    PausedUntil(Option<u64>),
    /// [`Status::gate`].
    Gate(Option<String>),
    /// [`Status::counts`].
    Counts(BTreeMap<State, usize>),
    /// [`Status::hashing`].
    Hashing(Hashing),
    /// [`Status::store`].
    Store(Option<StoreStatus>),
    /// The GPUs, or their use.
    Gpus(Vec<Gpu>),
    /// [`Status::gpu_problem`].
    GpuProblem(Option<String>),
    /// The models folders, or their problems.
    ModelsDirs(Vec<ModelsDir>),
    /// TensorRT was found, replaced or lost.
    Runtime {
        /// [`Status::runtime`].
        runtime: Option<Runtime>,
        /// [`Status::runtime_problem`].
        runtime_problem: Option<String>,
    },
    /// [`Status::troubles`].
    Troubles(Vec<String>),
}

/// What `status` and `list` show, kept up to date by events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// As `status` shows it; absent before the first [`Event::State`].
    pub status: Option<Box<Status>>,
    /// The entries of `list` by [`Checkpoint::key`].
    pub checkpoints: BTreeMap<EntryKey, Checkpoint>,
}

impl Overview {
    /// Applies an event. Those before the first [`Event::State`] mean nothing, and are ignored.
    pub fn apply(&mut self, event: Event) {
        if let Event::State { status, checkpoints } = event {
            let keyed = checkpoints.into_iter().map(|entry| (entry.key(), entry));
            *self = Self { status: Some(status), checkpoints: keyed.collect() };
            return;
        }
        let Some(status) = &mut self.status else { return };
        match event {
            Event::State { .. } => {}
            Event::Checkpoint(entry) => {
                self.checkpoints.insert(entry.key(), entry);
            }
            Event::Gone(key) => drop(self.checkpoints.remove(&key)),
            Event::Building(building) => status.building = building,
            Event::Queue(queue) => status.queue = queue,
            Event::Troubles(troubles) => status.troubles = troubles,
            Event::Paused(paused) => status.paused = paused,
            Event::PausedUntil(until) => status.paused_until = until,
            Event::Gate(gate) => status.gate = gate,
            Event::Counts(counts) => status.counts = counts,
            Event::Hashing(hashing) => status.hashing = hashing,
            Event::Store(store) => status.store = store,
            Event::Gpus(gpus) => status.gpus = gpus,
            Event::GpuProblem(problem) => status.gpu_problem = problem,
            Event::ModelsDirs(models_dirs) => status.models_dirs = models_dirs,
            Event::Runtime { runtime, runtime_problem } => {
                status.runtime = runtime;
                status.runtime_problem = runtime_problem;
            }
        }
    }

    /// The running jobs.
    pub fn building(&self) -> &[Building] {
        self.status.as_ref().map_or(&[], |status| &status.building)
    }
}

impl Status {
    /// The events that turn `before` into `self`, except for the time that passed.
    pub fn since(&self, before: &Self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut note = |changed: bool, event: fn(&Self) -> Event| {
            if changed {
                events.push(event(self));
            }
        };
        let is_other_runtime =
            self.runtime != before.runtime || self.runtime_problem != before.runtime_problem;
        note(is_other_runtime, |now| Event::Runtime {
            runtime: now.runtime.clone(),
            runtime_problem: now.runtime_problem.clone(),
        });
        note(self.troubles != before.troubles, |now| Event::Troubles(now.troubles.clone()));
        note(self.gpus != before.gpus, |now| Event::Gpus(now.gpus.clone()));
        note(self.gpu_problem != before.gpu_problem, |now| {
            Event::GpuProblem(now.gpu_problem.clone())
        });
        note(self.models_dirs != before.models_dirs, |now| {
            Event::ModelsDirs(now.models_dirs.clone())
        });
        note(self.paused != before.paused, |now| Event::Paused(now.paused));
        note(self.paused_until != before.paused_until, |now| Event::PausedUntil(now.paused_until));
        note(self.gate != before.gate, |now| Event::Gate(now.gate.clone()));
        note(self.queue != before.queue, |now| Event::Queue(now.queue.clone()));
        note(timeless(&self.building) != timeless(&before.building), |now| {
            Event::Building(now.building.clone())
        });
        note(self.counts != before.counts, |now| Event::Counts(now.counts.clone()));
        note(self.hashing != before.hashing, |now| Event::Hashing(now.hashing.clone()));
        note(self.store != before.store, |now| Event::Store(now.store.clone()));
        events
    }
}

/// The events that turn the entries `before` into those `now`. New ones come first: a file that got its id is gone
/// only under its path.
pub fn list_changes(
    before: &BTreeMap<EntryKey, Checkpoint>,
    now: &BTreeMap<EntryKey, Checkpoint>,
) -> Vec<Event> {
    let changed = now.iter().filter(|(key, entry)| before.get(*key) != Some(*entry));
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    let changed = changed.map(|(_, entry)| Event::Checkpoint(entry.clone()));
    changed.chain(gone.map(|key| Event::Gone(key.clone()))).collect()
}

fn timeless(building: &[Building]) -> Vec<Building> {
    let mut timeless = building.to_vec();
    timeless.iter_mut().for_each(|building| building.elapsed_s = 0);
    timeless
}

#[cfg(test)]
mod tests;
