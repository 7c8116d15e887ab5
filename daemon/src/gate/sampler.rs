use std::sync::Arc;

use crate::{
    gate::{Cpu, Gpu, Gpus, Sample, WebUi},
    memory,
};

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
