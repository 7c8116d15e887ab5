//! Whether the machine is idle: readings in, a decision out.

mod cpu;
pub mod gpu;
mod policy;
mod reason;
mod sample;
mod sampler;
mod users;
mod webui;

use std::{sync::Arc, time::Duration};

use protocol::GpuReading;
use tokio::{task::spawn_blocking, time::Instant};

pub use cpu::Cpu;
pub use gpu::{Driver, Gpu, Gpus, Lost};
pub use policy::{Decision, Gates};
pub use reason::Reason;
pub use sample::Sample;
pub(crate) use sampler::{Machine, Sampler};
pub(crate) use users::computing;
pub use webui::{WebUi, WebUiReading, is_titled};

/// Between two looks at the machine. NVML's own figures are up to a second old, so this has a build
/// gone within two seconds after others begin.
pub(crate) const LOOK: Duration = Duration::from_millis(500);

/// The GPUs, and how they and the machine were used when last looked at.
pub(crate) struct Gate {
    gates: Gates,
    /// Away while it reads.
    sampler: Option<Box<dyn Sampler>>,
    due: Option<Instant>,
    source: Arc<dyn Gpus>,
    gpus: Vec<Gpu>,
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
    /// Closed until the machine was idle for `window`.
    pub(crate) fn new(source: Arc<dyn Gpus>, sampler: Box<dyn Sampler>, window: Duration) -> Self {
        let gpus = source.list();
        let gates = Gates::new(gpus.len(), window);
        Self {
            decisions: gates.too_soon(),
            gates,
            sampler: Some(sampler),
            due: None,
            source,
            gpus,
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

    /// When to look next; a look under way tells when it is done.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.filter(|_| self.sampler.is_some())
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

    /// Looks which GPUs there are. Others than before are waited for anew.
    pub(crate) fn record_gpus(&mut self, window: Duration) {
        let gpus = self.source.list();
        if gpus != self.gpus {
            self.gpus = gpus;
            self.close(window);
        }
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

    /// The machine was looked at; nothing where it is not looked at any more.
    pub(crate) fn record_sample(
        &mut self,
        mut sampler: Box<dyn Sampler>,
        sample: Sample,
    ) -> Option<Look> {
        if self.due.is_none() {
            sampler.rest();
        }
        self.sampler = Some(sampler);
        self.due?;
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

    /// Looks how much of the machine's memory is free, where it tells.
    pub(crate) fn record_free_memory(&mut self) {
        self.memory_free = (self.free_memory)().or(self.memory_free);
    }
}

fn is_lost(decision: &Decision) -> bool {
    matches!(decision, Decision::Wait(Reason::Lost(_)) | Decision::Stop(Reason::Lost(_)))
}
