//! The gate: whether the machine is idle, from samples of its use.

mod cpu;
pub mod gpu;
mod look_out;
mod policy;
pub(crate) mod power;
mod presence;
mod reason;
mod sample;
mod strangers;
mod stuck;
mod users;
mod webui;

use std::{collections::HashMap, sync::Arc, time::Duration};

use protocol::GpuReading;
use tokio::{task::spawn_blocking, time::Instant};

use look_out::LookOut;
use strangers::Strangers;

pub use cpu::Cpu;
pub use gpu::{Driver, Found, Gpu, Gpus, Problem, Timed, module_version};
pub use policy::{Decision, Gates};
pub use reason::GateReason;
pub use sample::Sample;
pub(crate) use sample::{Machine, Sampler};
pub(crate) use users::computing;
pub use webui::{WebUi, WebUiReading, is_titled};

/// The time between two samples. NVML's figures are up to a second old, so a build stops within two seconds
/// of other use.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// How long after a job's end NVML's figures still include it.
const LINGERS: Duration = Duration::from_secs(2);

/// The GPUs, and the last sample of their and the machine's use.
pub(crate) struct Gate {
    gates: Gates,
    /// Absent while it is sampling.
    sampler: Option<Box<dyn Sampler>>,
    due: Option<Instant>,
    look_out: LookOut,
    gpus: Vec<Gpu>,
    /// What was wrong with the driver or a GPU when they were last listed or read.
    problem: Option<Problem>,
    /// By UUID: when a job of ours was last on a GPU, and which other processes are there.
    ours: HashMap<String, Instant>,
    strangers: HashMap<String, Strangers>,
    /// Whether each GPU is idle, if that matters.
    decisions: Vec<Decision>,
    /// Each GPU's use in the last sample, empty if it could not be read; `None` before the first.
    readings: Option<Vec<GpuReading>>,
    /// Bytes of available memory on this machine in the last sample.
    memory_free: Option<u64>,
    power: power::Power,
    free_memory: fn() -> Option<u64>,
    started: Instant,
}

/// What a sample has changed.
pub(crate) struct SampleChanges {
    /// Whether it is the first one since a rest.
    pub(crate) is_first: bool,
    /// Whether the driver, which was lost, is back: perhaps a different one.
    pub(crate) is_driver_back: bool,
    /// The title of the checkpoint selected in the web UI.
    pub(crate) selected: Option<String>,
}

impl Gate {
    /// A gate that is closed until the machine was idle for `window`; its GPUs are unknown.
    pub(crate) fn new(source: Arc<dyn Gpus>, sampler: Box<dyn Sampler>, window: Duration) -> Self {
        let gates = Gates::new(0, window);
        Self {
            decisions: gates.too_soon(),
            gates,
            sampler: Some(sampler),
            due: None,
            look_out: LookOut::new(source),
            gpus: Vec::new(),
            problem: None,
            ours: HashMap::new(),
            strangers: HashMap::new(),
            readings: None,
            memory_free: None,
            power: power::Power::new(Instant::now()),
            free_memory: crate::memory::free,
            started: Instant::now(),
        }
    }

    pub(crate) fn gpus(&self) -> &[Gpu] {
        &self.gpus
    }

    /// Whether each GPU is idle, if that matters.
    pub(crate) fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Each GPU's use in the last sample, empty if it could not be read; `None` before the first.
    pub(crate) fn readings(&self) -> Option<&[GpuReading]> {
        self.readings.as_deref()
    }

    /// Bytes of available memory on this machine in the last sample.
    pub(crate) fn memory_free(&self) -> Option<u64> {
        self.memory_free
    }

    /// When to take the next sample or list the GPUs; while a sample is being taken, there is none.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let look = self.due.filter(|_| self.sampler.is_some());
        [look, self.look_out.due(), self.power.due()].into_iter().flatten().min()
    }

    /// Whether the machine draws from a battery.
    pub(crate) fn draws(&self) -> bool {
        self.power.draws()
    }

    /// Whether to look at what the machine draws from.
    pub(crate) fn take_power_due(&mut self, now: Instant) -> bool {
        self.power.take_due(now)
    }

    /// What the machine draws from, by [`power::look`]; whether that is news.
    pub(crate) fn record_power(&mut self, draws: Option<bool>) -> bool {
        self.power.record(draws)
    }

    /// The source of the GPUs.
    pub(crate) fn source(&self) -> Arc<dyn Gpus> {
        self.look_out.source()
    }

    /// Whether the GPUs are to be listed now.
    pub(crate) fn take_listing_due(&mut self, now: Instant) -> bool {
        self.look_out.take_due(now)
    }

    /// What is wrong with the driver or a GPU, in words. A machine that never had a driver is not at fault.
    pub(crate) fn problem(&self) -> Option<String> {
        let lost = self.decisions.iter().find_map(|decision| match decision {
            Decision::Wait(reason @ (GateReason::Lost(_) | GateReason::LostGpu { .. })) => {
                Some(reason.to_string())
            }
            _ => None,
        });
        let is_news =
            |problem: &&Problem| !self.gpus.is_empty() || !matches!(problem, Problem::Absent(_));
        lost.or_else(|| self.problem.as_ref().filter(is_news).map(ToString::to_string))
    }

    /// Whether the machine is being sampled.
    #[cfg(test)]
    pub(crate) fn is_resting(&self) -> bool {
        self.due.is_none()
    }

    /// Whether a sample is being taken.
    #[cfg(test)]
    pub(crate) fn is_looking(&self) -> bool {
        self.sampler.is_none()
    }

    /// Has nobody look at what the machine draws from.
    #[cfg(test)]
    pub(crate) fn forget_power(&mut self) {
        self.power = power::Power::default();
    }

    /// Replaces the source of the machine's available memory.
    #[cfg(test)]
    pub(crate) fn set_free_memory(&mut self, free_memory: fn() -> Option<u64>) {
        self.free_memory = free_memory;
    }

    /// Records the list of GPUs; returns whether they have changed, and so must be idle for the window again.
    /// Those known before remain until the driver says otherwise.
    pub(crate) fn record_gpus(&mut self, found: Found, window: Duration) -> bool {
        let Found { gpus, problem } = found;
        self.look_out.record(problem.is_some(), Instant::now());
        let is_told = problem.is_none() || !gpus.is_empty();
        self.problem = problem;
        let are_others = is_told && gpus != self.gpus;
        if are_others {
            self.gpus = gpus;
            self.strangers.clear();
            self.close(window);
        }
        are_others
    }

    /// Closes the gate until each GPU was idle for the window.
    pub(crate) fn close(&mut self, window: Duration) {
        self.gates = Gates::new(self.gpus.len(), window);
        self.decisions = self.gates.too_soon();
        self.readings = None;
    }

    /// Takes a sample in the background, if it is time to, and sends it.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        tell: impl FnOnce(Box<dyn Sampler>, Sample) + Send + 'static,
    ) {
        if self.due.is_some_and(|due| due > now) {
            return;
        }
        let Some(mut sampler) = self.sampler.take() else { return };
        self.due = Some(now + LOOK);
        let gpus = self.gpus.clone();
        spawn_blocking(move || {
            let sample = sampler.sample(&gpus);
            tell(sampler, sample);
        });
    }

    /// Stops sampling until it matters again.
    pub(crate) fn rest(&mut self, window: Duration) {
        if self.due.take().is_none() {
            return;
        }
        self.close(window);
        if let Some(sampler) = &mut self.sampler {
            sampler.rest();
        }
    }

    /// Records a sample, with our jobs on the GPUs `at_work` (UUIDs); returns nothing if sampling has
    /// stopped.
    pub(crate) fn record_sample(
        &mut self,
        mut sampler: Box<dyn Sampler>,
        mut sample: Sample,
        at_work: &[String],
    ) -> Option<SampleChanges> {
        if self.due.is_none() {
            sampler.rest();
        }
        self.sampler = Some(sampler);
        self.due?;
        self.tell_ours(&mut sample, at_work);
        let decisions = self.gates.take(&sample, self.started.elapsed());
        let was_lost = self.decisions.iter().any(is_lost);
        let look = SampleChanges {
            is_first: self.readings.is_none(),
            is_driver_back: was_lost && !decisions.iter().any(is_lost),
            selected: sample.webui.and_then(|webui| webui.checkpoint),
        };
        self.decisions = decisions;
        self.readings = Some(sample.gpus.unwrap_or_default());
        self.memory_free = sample.memory_free;
        Some(look)
    }

    /// Marks in the sample what our own jobs do.
    fn tell_ours(&mut self, sample: &mut Sample, at_work: &[String]) {
        let now = Instant::now();
        self.ours.extend(at_work.iter().map(|uuid| (uuid.clone(), now)));
        self.ours.retain(|_, seen| now.duration_since(*seen) <= LINGERS);
        let is_ours = |gpu: &Gpu| self.ours.contains_key(&gpu.uuid);
        sample.ours =
            (0..).zip(&self.gpus).filter(|(_, gpu)| is_ours(gpu)).map(|(n, _)| n).collect();
        for (gpu, reading) in self.gpus.iter().zip(sample.gpus.iter_mut().flatten()) {
            let strangers = self.strangers.entry(gpu.uuid.clone()).or_default();
            strangers.recognise(reading, at_work.contains(&gpu.uuid));
        }
    }

    /// Measures the machine's available memory, if it is reported.
    pub(crate) fn record_free_memory(&mut self) {
        self.memory_free = (self.free_memory)().or(self.memory_free);
    }
}

fn is_lost(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait(GateReason::Lost(_)) | Decision::Stop(GateReason::Lost(_)))
}
