//! The search for TensorRT.

use engine::{Runtime, Target};
use protocol::Reply;
use tokio::{sync::oneshot, task::spawn_blocking, time::Instant};
use tracing::{info, warn};

use crate::{
    event::Event,
    gate::{Found, gpu::compute_capabilities},
    jobs::{RuntimeProblem, find_runtime},
    owners::Owners,
    planner::NoRuntime,
};

impl Owners {
    /// Looks for the TensorRT libraries and the GPUs to use them on, on behalf of a client or not.
    pub(crate) fn look_for_runtime(&self, reply: Option<oneshot::Sender<Reply>>) {
        let (config, mailbox) = (self.config.clone(), self.mailbox.clone());
        let gpus = self.gate.source();
        tokio::spawn(async move {
            let listed = spawn_blocking(move || gpus.list());
            let found = find_runtime(&config).await;
            if let Ok(listed) = listed.await {
                mailbox.send(Event::Gpus(listed));
            }
            mailbox.send(Event::Runtime(found, reply));
        });
    }

    /// Lists the GPUs.
    pub(crate) fn look_for_gpus(&self) {
        let (gpus, mailbox) = (self.gate.source(), self.mailbox.clone());
        spawn_blocking(move || mailbox.send(Event::Gpus(gpus.list())));
    }

    /// Lists the GPUs if it is time to.
    pub(super) fn look_for_gpus_if_due(&mut self, now: Instant) {
        if self.gate.take_listing_due(now) {
            self.look_for_gpus();
        }
    }

    pub(super) fn record_gpus(&mut self, found: Found) {
        let before = self.gate.problem();
        let are_others = self.gate.record_gpus(found, self.config.idle());
        let problem = self.gate.problem();
        if are_others {
            let names: Vec<_> = self.gate.gpus().iter().map(|gpu| gpu.name.as_str()).collect();
            info!("GPUs: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") });
            self.sharing.record_gpus(self.gate.gpus());
            self.renew_target();
        }
        if let Some(problem) = problem.as_ref().filter(|_| problem != before) {
            warn!("{problem}");
        }
        if are_others || problem != before {
            self.changed();
        }
    }

    /// Determines what engines are built for, from the configuration and the GPUs.
    pub(crate) fn renew_target(&mut self) {
        if let Ok(target) = self.desired.target() {
            let runtime = target.runtime.clone();
            let capabilities = compute_capabilities(self.gate.gpus());
            let target = Target::new(runtime, &self.config, &capabilities);
            self.desired.record_target(Ok(target));
        }
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
        let capabilities = compute_capabilities(self.gate.gpus());
        let target = found.map(|runtime| Target::new(runtime, &self.config, &capabilities));
        self.desired.record_target(target);
        self.changed();
    }
}
