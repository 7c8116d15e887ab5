//! Builds start while the machine is idle, and make room when it is not.

use std::{fmt, time::Duration};

use checkpoint::Id;
use config::BuildWhen;
use protocol::Reply;
use tokio::{task::spawn_blocking, time::Instant};
use tracing::info;

use super::{
    actor::Actor,
    messages::Message,
    sampler::Sampler,
    world::{Work, World},
};
use crate::{
    schedule::{Decision, Errand, Gates, Reason, Sample},
    webui::is_titled,
};

/// Between two looks at the machine. NVML's own figures are up to a second old, so this has a build
/// gone within two seconds after others begin.
const LOOK: Duration = Duration::from_millis(500);

/// What looking at the machine needs.
pub(super) struct Gating {
    gates: Gates,
    /// Away while it reads.
    pub(super) sampler: Option<Box<dyn Sampler>>,
    due: Option<Instant>,
}

impl Gating {
    pub(super) fn new(gates: Gates, sampler: Box<dyn Sampler>) -> Self {
        Self { gates, sampler: Some(sampler), due: None }
    }

    /// When to look next; a look under way sends a message when it is done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.sampler.is_some())
    }
}

/// What keeps builds from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed<'a> {
    Paused,
    Busy(&'a Reason),
}

impl Closed<'_> {
    /// What a checkpoint waits for.
    pub(super) fn awaited(self) -> String {
        match self {
            Self::Paused => "waits until `sdtrtctl resume`".to_owned(),
            Self::Busy(reason) => reason.awaited(),
        }
    }
}

impl fmt::Display for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("paused; `sdtrtctl resume` goes on"),
            Self::Busy(reason) => reason.fmt(f),
        }
    }
}

impl World {
    /// What keeps all jobs from starting, if anything does.
    pub(super) fn closed(&self) -> Option<Closed<'_>> {
        let mut places = self.all_places().map(|place| self.closed_at(place));
        let first = places.next().flatten();
        first.filter(|_| places.all(|closed| closed.is_some()))
    }

    /// What keeps jobs from starting in this place, if anything does.
    pub(super) fn closed_at(&self, place: usize) -> Option<Closed<'_>> {
        match self.decisions.get(place) {
            _ if self.paused => Some(Closed::Paused),
            _ if self.config.build == BuildWhen::Always => None,
            None | Some(Decision::Start) => None,
            Some(Decision::Wait(reason) | Decision::Stop(reason)) => Some(Closed::Busy(reason)),
        }
    }

    /// What each place waits for.
    fn all_awaited(&self) -> Vec<Option<String>> {
        let closed = self.all_places().map(|place| self.closed_at(place));
        closed.map(|closed| closed.map(Closed::awaited)).collect()
    }

    /// Takes in which checkpoint is selected in the web UI; whether that is news.
    fn used(&mut self, title: &str) -> bool {
        let held = self.catalogue.held();
        let is_used = |paths: &[&std::path::Path]| {
            paths.iter().any(|path| is_titled(&path.to_string_lossy(), title))
        };
        let mut used: Vec<Id> = held
            .iter()
            .filter(|(_, held)| is_used(&held.paths))
            .map(|(weights, _)| *weights)
            .collect();
        used.sort_unstable();
        let is_news = !self.recent.starts_with(&used);
        self.recent.retain(|weights| !used.contains(weights));
        self.recent.splice(0..0, used);
        is_news
    }
}

impl Actor {
    /// Looks at the machine if it is time to. Only while that decides something: asking keeps a
    /// sleeping GPU awake.
    pub(super) fn look_at_machine(&mut self, now: Instant) {
        let world = &self.world;
        let is_at_stake = !self.queue.is_empty() || self.is_on_gpu();
        let is_paused = world.paused && world.urgent.is_empty();
        let is_decided = world.config.build == BuildWhen::Always && world.gpus.is_empty();
        if !is_at_stake || is_paused || is_decided {
            self.rest();
            return;
        }
        if self.gating.due.is_some_and(|due| due > now) {
            return;
        }
        let Some(mut sampler) = self.gating.sampler.take() else { return };
        self.gating.due = Some(now + LOOK);
        let (gpus, mailbox) = (self.world.gpus.clone(), self.mailbox.clone());
        spawn_blocking(move || {
            let sample = sampler.sample(&gpus);
            mailbox.send(Message::Sampled(sampler, sample));
        });
    }

    fn rest(&mut self) {
        if self.gating.due.take().is_none() {
            return;
        }
        self.close_gates();
        if let Some(sampler) = &mut self.gating.sampler {
            sampler.rest();
        }
    }

    /// Has everything wait anew for the GPUs that are here to be idle.
    pub(super) fn close_gates(&mut self) {
        let world = &mut self.world;
        self.gating.gates = Gates::new(world.gpus.len(), world.config.idle());
        world.decisions = self.gating.gates.too_soon();
        world.readings = None;
    }

    /// A build is under way that may use a GPU. Which ones do is not known beforehand, so with a GPU
    /// all count.
    fn is_on_gpu(&self) -> bool {
        !self.running.is_empty() && !self.world.gpus.is_empty()
    }

    pub(super) fn sampled(&mut self, mut sampler: Box<dyn Sampler>, sample: Sample) {
        if self.gating.due.is_none() {
            sampler.rest();
            self.gating.sampler = Some(sampler);
            return;
        }
        self.gating.sampler = Some(sampler);
        let decisions = self.gating.gates.take(&sample, self.started.elapsed());
        let before = self.world.all_awaited();
        if matches!(self.world.closed(), Some(Closed::Busy(_))) && !self.queue.is_empty() {
            self.metrics.wait.inc_by(LOOK.as_secs_f64());
        }
        for (place, decision) in decisions.iter().enumerate() {
            if let Decision::Stop(reason) = decision {
                self.make_way(place, &reason.to_string());
            }
        }
        let was_lost = self.world.decisions.iter().any(is_lost);
        if was_lost && !decisions.iter().any(is_lost) {
            // Maybe by another driver.
            self.look_for_runtime(None);
        }
        self.world.decisions = decisions;
        let is_first = self.world.readings.is_none();
        self.world.readings = Some(sample.gpus.unwrap_or_default());
        self.world.memory_free = sample.memory_free;
        let title = sample.webui.and_then(|webui| webui.checkpoint);
        let used = title.is_some_and(|title| self.world.used(&title));
        // Figures alone are no news.
        let memory_changed = self.world.memory_changed(&self.queue);
        if used || is_first || memory_changed || self.world.all_awaited() != before {
            self.refresh();
        }
    }

    /// Ends the job in this place, unless it was asked for whatever the machine does.
    fn make_way(&mut self, place: usize, why: &str) {
        let world = &self.world;
        let Some(Work { want, .. }) = world.work_at(place) else { return };
        if world.config.build == BuildWhen::Always
            || want.errand == Errand::Materialize
            || world.urgent.contains(&want.engine)
        {
            return;
        }
        info!(engine = %want.engine.short(), place, "the worker makes way: {why}");
        self.abandon(want.job, why);
    }

    pub(super) fn pause(&mut self) -> Reply {
        self.world.urgent.clear();
        let jobs: Vec<Id> = self.world.work.iter().map(|work| work.want.job).collect();
        for job in jobs {
            self.abandon(job, "paused");
        }
        self.set_paused(true)
    }

    pub(super) fn resume(&mut self) -> Reply {
        self.set_paused(false)
    }

    fn set_paused(&mut self, paused: bool) -> Reply {
        self.world.paused = paused;
        self.world.store.set_paused(paused);
        self.learned();
        self.refresh();
        Reply::Status(Box::new(self.status()))
    }
}

fn is_lost(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait(Reason::Lost(_)) | Decision::Stop(Reason::Lost(_)))
}

#[cfg(test)]
mod tests;
