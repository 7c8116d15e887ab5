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
    schedule::{Decision, Errand, Gate, Reason, Sample},
    webui::is_titled,
};

/// Between two looks at the machine. NVML's own figures are up to a second old, so this has a build
/// gone within two seconds after others begin.
const LOOK: Duration = Duration::from_millis(500);

/// What looking at the machine needs.
pub(super) struct Gating {
    gate: Gate,
    /// Away while it reads.
    pub(super) sampler: Option<Box<dyn Sampler>>,
    due: Option<Instant>,
}

impl Gating {
    pub(super) fn new(window: Duration, sampler: Box<dyn Sampler>) -> Self {
        Self { gate: Gate::new(window), sampler: Some(sampler), due: None }
    }

    /// Has builds wait for another time to be idle.
    pub(super) fn set_window(&mut self, window: Duration) {
        self.gate = Gate::new(window);
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
    /// What keeps builds from starting, if anything does.
    pub(super) fn closed(&self) -> Option<Closed<'_>> {
        match &self.decision {
            _ if self.paused => Some(Closed::Paused),
            _ if self.config.build == BuildWhen::Always => None,
            Decision::Start => None,
            Decision::Wait(reason) | Decision::Stop(reason) => Some(Closed::Busy(reason)),
        }
    }

    /// Whether a job of `engine` may start now.
    pub(super) fn may_start(&self, engine: &Id) -> bool {
        self.closed().is_none() || self.urgent.contains(engine)
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
        let decides = !self.queue.is_empty() || self.is_on_gpu();
        if !decides || self.world.paused || self.world.config.build == BuildWhen::Always {
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
        self.gating.gate = Gate::new(self.world.config.idle());
        self.world.decision = Decision::Wait(self.gating.gate.too_soon());
        self.world.readings.clear();
        if let Some(sampler) = &mut self.gating.sampler {
            sampler.rest();
        }
    }

    /// A build is under way that may use a GPU. Which ones do is not known beforehand, so with a GPU
    /// all count.
    fn is_on_gpu(&self) -> bool {
        self.running.is_some() && !self.world.gpus.is_empty()
    }

    pub(super) fn sampled(&mut self, mut sampler: Box<dyn Sampler>, sample: Sample) {
        if self.gating.due.is_none() {
            sampler.rest();
            self.gating.sampler = Some(sampler);
            return;
        }
        self.gating.sampler = Some(sampler);
        let decision = self.gating.gate.take(&sample, self.started.elapsed());
        let awaited = |world: &World| world.closed().map(Closed::awaited);
        let before = awaited(&self.world);
        if matches!(self.world.closed(), Some(Closed::Busy(_))) && !self.queue.is_empty() {
            self.metrics.wait.inc_by(LOOK.as_secs_f64());
        }
        if let Decision::Stop(reason) = &decision
            && !self.is_urgent()
        {
            self.make_way(&reason.to_string());
        }
        let was_lost = is_lost(&self.world.decision);
        if was_lost && !is_lost(&decision) {
            // Maybe by another driver.
            self.look_for_runtime(None);
        }
        self.world.decision = decision;
        self.world.readings = sample.gpus.unwrap_or_default();
        let title = sample.webui.and_then(|webui| webui.checkpoint);
        let used = title.is_some_and(|title| self.world.used(&title));
        // Figures alone are no news.
        let memory_changed = self.world.memory_changed(&self.queue);
        if used || memory_changed || awaited(&self.world) != before {
            self.refresh();
        }
    }

    /// Whether the job under way was asked for whatever the machine does.
    fn is_urgent(&self) -> bool {
        self.world.work.as_ref().is_some_and(|Work { want, .. }| {
            want.errand == Errand::Materialize || self.world.urgent.contains(&want.engine)
        })
    }

    /// Ends the job under way, if there is one.
    fn make_way(&mut self, why: &str) {
        if self.world.work.is_some() {
            info!("the worker makes way: {why}");
            self.abandon(why);
        }
    }

    pub(super) fn pause(&mut self) -> Reply {
        self.world.urgent.clear();
        self.make_way("paused");
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
