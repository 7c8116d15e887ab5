//! Builds start while the machine is idle, and make room when it is not.

use std::{fmt, time::Duration};

use checkpoint::Id;
use config::BuildWhen;
use tokio::{task::spawn_blocking, time::Instant};

use crate::{
    event::Message,
    event_loop::Actor,
    gate::{Decision, Gates, Reason, Sample, is_titled, sampler::Sampler},
    jobs::RunningJob,
    planner::{Obstacle, Place, Want, slots::Slot, snapshot::World},
};

/// Between two looks at the machine. NVML's own figures are up to a second old, so this has a build
/// gone within two seconds after others begin.
const LOOK: Duration = Duration::from_millis(500);

/// What looking at the machine needs.
pub(crate) struct Gating {
    gates: Gates,
    /// Away while it reads.
    pub(crate) sampler: Option<Box<dyn Sampler>>,
    pub(crate) due: Option<Instant>,
}

impl Gating {
    pub(crate) fn new(gates: Gates, sampler: Box<dyn Sampler>) -> Self {
        Self { gates, sampler: Some(sampler), due: None }
    }

    /// When to look next; a look under way sends a message when it is done.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.sampler.is_some())
    }
}

/// What keeps builds from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed<'a> {
    Paused,
    /// `build = "never"`.
    Never,
    Busy(&'a Reason),
}

impl Closed<'_> {
    /// What a checkpoint waits for.
    pub(crate) fn awaited(self) -> String {
        match self {
            Self::Paused => "waits for `sdtrtctl resume`".to_owned(),
            Self::Never => "waits for `sdtrtctl build`, as `build` is \"never\"".to_owned(),
            Self::Busy(reason) => reason.awaited(),
        }
    }
}

impl fmt::Display for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("paused; `sdtrtctl resume` continues"),
            Self::Never => f.write_str("`build` is \"never\"; `sdtrtctl build REF` builds one"),
            Self::Busy(reason) => reason.fmt(f),
        }
    }
}

impl World {
    /// What keeps what is in `queue` from being done, if it is the same for all of it; a pause always does.
    pub(crate) fn closed(&self, queue: &[Want]) -> Option<Closed<'_>> {
        if self.intent.is_paused() {
            return Some(Closed::Paused);
        }
        let is_free = |want: &Want| {
            let mut slots = self.slots(&want.takes.place);
            slots.any(|slot| self.closed_to(slot, &want.engine).is_none())
        };
        let first = queue.first().filter(|_| !queue.iter().any(is_free))?;
        let slot = self.slots(&first.takes.place).next()?;
        self.closed_to(slot, &first.engine)
    }

    /// What keeps a job with this engine from starting there, if anything does.
    pub(crate) fn closed_to(&self, slot: Slot, engine: &Id) -> Option<Closed<'_>> {
        if self.intent.urgent().contains(engine) {
            return None;
        }
        match self.closed_at(slot) {
            Some(Closed::Paused) => Some(Closed::Paused),
            _ if self.is_off(engine) => Some(Closed::Never),
            closed => closed,
        }
    }

    /// Whether nothing is done with this engine because nobody asked for it.
    pub(crate) fn is_off(&self, engine: &Id) -> bool {
        self.config.build == BuildWhen::Never && !self.intent.asked().contains(engine)
    }

    /// What keeps any job from starting there, if anything does.
    pub(crate) fn closed_at(&self, slot: Slot) -> Option<Closed<'_>> {
        let Slot::Device(number) = slot else {
            return self.intent.is_paused().then_some(Closed::Paused);
        };
        match self.decisions.get(number) {
            _ if self.intent.is_paused() => Some(Closed::Paused),
            _ if self.config.build == BuildWhen::Always => None,
            None | Some(Decision::Start) => None,
            Some(Decision::Wait(reason) | Decision::Stop(reason)) => Some(Closed::Busy(reason)),
        }
    }

    /// Whether how the machine is used decides when this is done.
    fn needs_a_look(&self, want: &Want) -> bool {
        let waits = matches!(want.obstacle, Some(Obstacle::Passing(_)));
        !self.is_off(&want.engine) && (waits || want.takes.place != Place::Aside)
    }

    /// What each slot waits for that is not open to all.
    fn all_awaited(&self) -> Vec<Option<String>> {
        let closed = self.devices().map(|slot| self.closed_at(slot));
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
        self.intent.record_use(used)
    }
}

impl Actor {
    /// Looks at the machine if it is time to. Only while that decides something: asking keeps a
    /// sleeping GPU awake.
    pub(crate) fn look_at_machine(&mut self, now: Instant) {
        let world = &self.world;
        let is_at_stake =
            self.queue.iter().any(|want| world.needs_a_look(want)) || self.is_on_gpu();
        let is_paused = world.intent.is_paused() && world.intent.urgent().is_empty();
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
    pub(crate) fn close_gates(&mut self) {
        let world = &mut self.world;
        self.gating.gates = Gates::new(world.gpus.len(), world.config.idle());
        world.decisions = self.gating.gates.too_soon();
        world.readings = None;
    }

    /// A job is under way that may use a GPU. Which ones do is not known beforehand, so with a GPU all count
    /// that are not done aside.
    fn is_on_gpu(&self) -> bool {
        let is_aside = |running: &RunningJob| running.work.want.takes.place == Place::Aside;
        !self.world.gpus.is_empty() && !self.world.jobs.running().iter().all(is_aside)
    }

    pub(crate) fn sampled(&mut self, mut sampler: Box<dyn Sampler>, sample: Sample) {
        if self.gating.due.is_none() {
            sampler.rest();
            self.gating.sampler = Some(sampler);
            return;
        }
        self.gating.sampler = Some(sampler);
        let decisions = self.gating.gates.take(&sample, self.started.elapsed());
        let before = self.world.all_awaited();
        if matches!(self.world.closed(&self.queue), Some(Closed::Busy(_))) {
            self.metrics.wait.inc_by(LOOK.as_secs_f64());
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
            self.due.now();
        }
    }

    pub(crate) fn pause(&mut self) {
        self.world.news.paused = true;
        self.set_paused(true);
    }

    pub(crate) fn resume(&mut self) {
        self.set_paused(false);
    }

    fn set_paused(&mut self, paused: bool) {
        self.world.intent.record_pause(paused);
        self.learned();
        self.due.now();
    }
}

fn is_lost(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait(Reason::Lost(_)) | Decision::Stop(Reason::Lost(_)))
}
