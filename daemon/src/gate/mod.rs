//! Whether the machine is idle: readings in, a decision out.

mod cpu;
pub mod gpu;
mod look_out;
mod policy;
mod reason;
mod sample;
mod sampler;
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
pub use reason::Reason;
pub use sample::Sample;
pub(crate) use sampler::{Machine, Sampler};
pub(crate) use users::computing;
pub use webui::{WebUi, WebUiReading, is_titled};

/// Between two looks at the machine. NVML's own figures are up to a second old, so this has a build
/// gone within two seconds after others begin.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// NVML's figures are still those of a job of ours for so long after its end.
const LINGERS: Duration = Duration::from_secs(2);

/// The GPUs, and how they and the machine were used when last looked at.
pub(crate) struct Gate {
    gates: Gates,
    /// Away while it reads.
    sampler: Option<Box<dyn Sampler>>,
    due: Option<Instant>,
    look_out: LookOut,
    gpus: Vec<Gpu>,
    /// What was wrong with the driver or a GPU when they were last listed or read.
    problem: Option<Problem>,
    /// By UUID, when a job of ours was last on a GPU, and who else is there.
    ours: HashMap<String, Instant>,
    strangers: HashMap<String, Strangers>,
    /// Whether each GPU is idle, where that counts.
    decisions: Vec<Decision>,
    /// How each GPU was used at the last look, empty if they could not be read; `None` before the first.
    readings: Option<Vec<GpuReading>>,
    /// Bytes of the machine's memory that were free at the last look.
    memory_free: Option<u64>,
    free_memory: fn() -> Option<u64>,
    started: Instant,
}

/// What a look has changed.
pub(crate) struct Look {
    /// It is the first one since a rest.
    pub(crate) is_first: bool,
    /// The driver, which was lost, is back: maybe another one.
    pub(crate) is_driver_back: bool,
    /// The title of the checkpoint that is selected in the web UI.
    pub(crate) selected: Option<String>,
}

impl Gate {
    /// Closed until the machine was idle for `window`; of its GPUs nothing is known yet.
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
            free_memory: crate::memory::free,
            started: Instant::now(),
        }
    }

    pub(crate) fn gpus(&self) -> &[Gpu] {
        &self.gpus
    }

    /// Whether each GPU is idle, where that counts.
    pub(crate) fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// How each GPU was used at the last look, empty if they could not be read; `None` before the first.
    pub(crate) fn readings(&self) -> Option<&[GpuReading]> {
        self.readings.as_deref()
    }

    /// Bytes of the machine's memory that were free at the last look.
    pub(crate) fn memory_free(&self) -> Option<u64> {
        self.memory_free
    }

    /// When to look next, or to list the GPUs; a look under way tells when it is done.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let look = self.due.filter(|_| self.sampler.is_some());
        look.into_iter().chain(self.look_out.due()).min()
    }

    /// Who tells which GPUs there are.
    pub(crate) fn source(&self) -> Arc<dyn Gpus> {
        self.look_out.source()
    }

    /// Whether the GPUs are to be listed again now.
    pub(crate) fn take_listing_due(&mut self, now: Instant) -> bool {
        self.look_out.take_due(now)
    }

    /// What is wrong with the driver or a GPU, for people. A machine that has had no driver lacks nothing.
    pub(crate) fn problem(&self) -> Option<String> {
        let lost = self.decisions.iter().find_map(|decision| match decision {
            Decision::Wait(reason @ (Reason::Lost(_) | Reason::LostGpu { .. })) => {
                Some(reason.to_string())
            }
            _ => None,
        });
        let is_news =
            |problem: &&Problem| !self.gpus.is_empty() || !matches!(problem, Problem::Absent(_));
        lost.or_else(|| self.problem.as_ref().filter(is_news).map(ToString::to_string))
    }

    /// Whether the machine is looked at.
    #[cfg(test)]
    pub(crate) fn is_resting(&self) -> bool {
        self.due.is_none()
    }

    /// Whether a look is under way.
    #[cfg(test)]
    pub(crate) fn is_looking(&self) -> bool {
        self.sampler.is_none()
    }

    /// Has the machine's free memory told by this.
    #[cfg(test)]
    pub(crate) fn set_free_memory(&mut self, free_memory: fn() -> Option<u64>) {
        self.free_memory = free_memory;
    }

    /// The GPUs were listed. Whether they are others than before, which are waited for anew. Those that were there
    /// still are as long as the driver does not say otherwise.
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

    /// Has everything wait anew for the GPUs that are here to be idle.
    pub(crate) fn close(&mut self, window: Duration) {
        self.gates = Gates::new(self.gpus.len(), window);
        self.decisions = self.gates.too_soon();
        self.readings = None;
    }

    /// Looks at the machine, if it is time to, and tells what it saw.
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

    /// Looks no more until something depends on it.
    pub(crate) fn rest(&mut self, window: Duration) {
        if self.due.take().is_none() {
            return;
        }
        self.close(window);
        if let Some(sampler) = &mut self.sampler {
            sampler.rest();
        }
    }

    /// The machine was looked at, and jobs of ours use the GPUs `at_work`, by UUID; nothing where it is not looked at
    /// any more.
    pub(crate) fn record_sample(
        &mut self,
        mut sampler: Box<dyn Sampler>,
        mut sample: Sample,
        at_work: &[String],
    ) -> Option<Look> {
        if self.due.is_none() {
            sampler.rest();
        }
        self.sampler = Some(sampler);
        self.due?;
        self.tell_ours(&mut sample, at_work);
        let decisions = self.gates.take(&sample, self.started.elapsed());
        let was_lost = self.decisions.iter().any(is_lost);
        let look = Look {
            is_first: self.readings.is_none(),
            is_driver_back: was_lost && !decisions.iter().any(is_lost),
            selected: sample.webui.and_then(|webui| webui.checkpoint),
        };
        self.decisions = decisions;
        self.readings = Some(sample.gpus.unwrap_or_default());
        self.memory_free = sample.memory_free;
        Some(look)
    }

    /// Says in the sample what of it is our own doing.
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

    /// Looks how much of the machine's memory is free, where it tells.
    pub(crate) fn record_free_memory(&mut self) {
        self.memory_free = (self.free_memory)().or(self.memory_free);
    }
}

fn is_lost(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait(Reason::Lost(_)) | Decision::Stop(Reason::Lost(_)))
}
