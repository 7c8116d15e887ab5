use std::sync::Arc;

use crate::{
    cpu::Cpu,
    gpu::{Gpu, Gpus},
    memory,
    schedule::Sample,
    webui::WebUi,
};

/// Reads how the machine is used. The real one is [`Machine`].
pub(super) trait Sampler: Send {
    /// Reads these GPUs and all else that tells whether the machine is idle.
    fn sample(&mut self, gpus: &[Gpu]) -> Sample;

    /// Nothing will be read for a while.
    fn rest(&mut self);
}

/// NVIDIA's driver, `/proc/stat` and the web UI.
pub(super) struct Machine {
    gpus: Arc<dyn Gpus>,
    cpu: Cpu,
    webui: Option<WebUi>,
}

impl Machine {
    pub(super) fn new(gpus: Arc<dyn Gpus>, webui_url: Option<&str>) -> Self {
        Self { gpus, cpu: Cpu::default(), webui: webui_url.map(WebUi::new) }
    }
}

impl Sampler for Machine {
    fn sample(&mut self, gpus: &[Gpu]) -> Sample {
        Sample {
            gpus: self.gpus.read(gpus).map_err(|lost| lost.to_string()),
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
