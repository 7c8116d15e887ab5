//! TensorRT.

use engine::{Runtime, Target};
use protocol::Reply;
use tokio::sync::oneshot;
use tracing::{info, warn};

use crate::{
    event::Event,
    gate::gpu::compute_capabilities,
    jobs::{RuntimeProblem, find_runtime},
    owners::Owners,
    planner::NoRuntime,
};

impl Owners {
    /// Looks for the TensorRT libraries, on behalf of a client or not.
    pub(crate) fn look_for_runtime(&self, reply: Option<oneshot::Sender<Reply>>) {
        let (config, mailbox) = (self.config.clone(), self.mailbox.clone());
        tokio::spawn(async move {
            mailbox.send(Event::Runtime(find_runtime(&config).await, reply));
        });
    }

    pub(super) fn record_runtime(&mut self, found: Result<Runtime, RuntimeProblem>) {
        let found = found.map_err(|problem| NoRuntime::Because(problem.to_string()));
        self.retry.record_runtime(found.as_ref().err().map(ToString::to_string));
        match &found {
            Ok(runtime) => {
                info!("TensorRT-RTX {} at {}", runtime.version, runtime.library().display());
            }
            Err(problem) if self.desired.target().as_ref().err() != Some(problem) => {
                warn!("{problem}");
            }
            Err(_) => {}
        }
        self.gate.record_gpus(self.config.idle());
        let capabilities = compute_capabilities(self.gate.gpus());
        let target = found.map(|runtime| Target::new(runtime, &self.config, &capabilities));
        self.desired.record_target(target);
        self.changed();
    }
}
