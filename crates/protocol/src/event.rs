//! What a watcher gets, and what it makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Building, Checkpoint, Gpu, ModelsDir, Queued, Runtime, State, Status};

/// What a watcher gets: everything first, then each change of what `status` and `list` show, but for the time that
/// passes ([`crate::Daemon::uptime_s`], [`Building::elapsed_s`]). [`Overview::apply`] takes it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", content = "value", rename_all = "snake_case")]
pub enum Event {
    /// Everything: first of all, and again where a client lagged behind.
    State {
        /// As `status` shows it.
        status: Box<Status>,
        /// As `list` shows it.
        checkpoints: Vec<Checkpoint>,
    },
    /// An entry of `list` is new or has changed.
    Checkpoint(Checkpoint),
    /// The entry with this [`Checkpoint::key`] is gone.
    Gone(String),
    /// The jobs under way: one goes on, has begun or has ended.
    Building(Vec<Building>),
    /// What waits for its turn.
    Queue(Vec<Queued>),
    /// [`Status::paused`].
    Paused(bool),
    /// [`Status::gate`].
    Gate(Option<String>),
    /// [`Status::counts`].
    Counts(BTreeMap<State, usize>),
    /// The GPUs, or how they are used.
    Gpus(Vec<Gpu>),
    /// The models folders, or what is wrong with one.
    ModelsDirs(Vec<ModelsDir>),
    /// TensorRT was found, is another one, or is gone.
    Runtime {
        /// [`Status::runtime`].
        runtime: Option<Runtime>,
        /// [`Status::runtime_problem`].
        runtime_problem: Option<String>,
    },
}

/// What `status` and `list` show, kept up by events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// As `status` shows it; absent before the first [`Event::State`].
    pub status: Option<Box<Status>>,
    /// The entries of `list` by [`Checkpoint::key`].
    pub checkpoints: BTreeMap<String, Checkpoint>,
}

impl Overview {
    /// Takes an event in. Before the first [`Event::State`] nothing else means anything, and is passed over.
    pub fn apply(&mut self, event: Event) {
        if let Event::State { status, checkpoints } = event {
            let keyed = checkpoints.into_iter().map(|entry| (entry.key().to_owned(), entry));
            *self = Self { status: Some(status), checkpoints: keyed.collect() };
            return;
        }
        let Some(status) = &mut self.status else { return };
        match event {
            Event::State { .. } => {}
            Event::Checkpoint(entry) => {
                self.checkpoints.insert(entry.key().to_owned(), entry);
            }
            Event::Gone(key) => drop(self.checkpoints.remove(&key)),
            Event::Building(building) => status.building = building,
            Event::Queue(queue) => status.queue = queue,
            Event::Paused(paused) => status.paused = paused,
            Event::Gate(gate) => status.gate = gate,
            Event::Counts(counts) => status.counts = counts,
            Event::Gpus(gpus) => status.gpus = gpus,
            Event::ModelsDirs(models_dirs) => status.models_dirs = models_dirs,
            Event::Runtime { runtime, runtime_problem } => {
                status.runtime = runtime;
                status.runtime_problem = runtime_problem;
            }
        }
    }

    /// The jobs under way.
    pub fn building(&self) -> &[Building] {
        self.status.as_ref().map_or(&[], |status| &status.building)
    }
}

impl Status {
    /// The events that make `self` of what was told `before`, but for the time that passed.
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
        note(self.gpus != before.gpus, |now| Event::Gpus(now.gpus.clone()));
        note(self.models_dirs != before.models_dirs, |now| {
            Event::ModelsDirs(now.models_dirs.clone())
        });
        note(self.paused != before.paused, |now| Event::Paused(now.paused));
        note(self.gate != before.gate, |now| Event::Gate(now.gate.clone()));
        note(self.queue != before.queue, |now| Event::Queue(now.queue.clone()));
        note(timeless(&self.building) != timeless(&before.building), |now| {
            Event::Building(now.building.clone())
        });
        note(self.counts != before.counts, |now| Event::Counts(now.counts.clone()));
        events
    }
}

/// The events that make the entries `now` of those `before`. New ones come first: an unread file that got its id is
/// gone under its path only.
pub fn list_changes(
    before: &BTreeMap<String, Checkpoint>,
    now: &BTreeMap<String, Checkpoint>,
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
