use std::sync::Arc;

use protocol::GpuReading;
use serde::{Deserialize, Serialize};

use super::{Cpu, GateReason, Gpu, Gpus, WebUi, WebUiReading};
use crate::memory;

/// A sample of the machine's use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Every GPU, in the order of `status`; or why they can no longer be read.
    pub gpus: Result<Vec<GpuReading>, String>,
    /// The indexes of GPUs that a job of ours uses, or has just used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ours: Vec<usize>,
    /// Bytes of available memory, if known.
    pub memory_free: Option<u64>,
    /// The percentage of all cores used by work of normal priority, which sdtrtd's is not.
    pub cpu: Option<u32>,
    /// What the web UI reports, if one is configured and replies.
    pub webui: Option<WebUiReading>,
}

impl Sample {
    /// A sample of these GPUs alone.
    pub fn of(gpus: Result<Vec<GpuReading>, String>) -> Self {
        Self { gpus, ours: Vec::new(), memory_free: None, cpu: None, webui: None }
    }

    /// What somebody does besides using a GPU or the CPU: while they do, no job is on a GPU that they may use.
    pub(super) fn activity(&self) -> Option<GateReason> {
        let webui = self.webui.as_ref().is_some_and(|webui| webui.at_work);
        webui.then_some(GateReason::WebUi)
    }
}

/// Samples the machine's use. The real one is [`Machine`].
pub(crate) trait Sampler: Send {
    /// Samples these GPUs and everything else that shows whether the machine is idle.
    fn sample(&mut self, gpus: &[Gpu]) -> Sample;

    /// Releases resources: the next sample comes later.
    fn rest(&mut self);
}

/// NVIDIA's driver, `/proc/stat` and the web UI.
pub(crate) struct Machine {
    gpus: Arc<dyn Gpus>,
    cpu: Cpu,
    webui: Option<WebUi>,
}

impl Machine {
    pub(crate) fn new(gpus: Arc<dyn Gpus>, webui_url: Option<&str>) -> Self {
        Self { gpus, cpu: Cpu::default(), webui: webui_url.map(WebUi::new) }
    }
}

impl Sampler for Machine {
    fn sample(&mut self, gpus: &[Gpu]) -> Sample {
        Sample {
            gpus: self.gpus.read(gpus).map_err(|problem| problem.to_string()),
            ours: Vec::new(),
            memory_free: memory::free(),
            cpu: self.cpu.others_percent(),
            webui: self.webui.as_mut().and_then(WebUi::read),
        }
    }

    fn rest(&mut self) {
        self.gpus.rest();
        self.cpu.rest();
    }
}
