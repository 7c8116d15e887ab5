//! Starts jobs.

use anyhow::{Context, Result};
use config::runtime::BUILDABLE;
use engine::{EngineSpec, Job, Phase, Progress, Removal, Source, Task, Weights};
use protocol::Reply;
use tokio::{sync::oneshot, time::Instant};
use tracing::{info, warn};

use crate::{
    api::{other, text},
    event::Event,
    gate::Gpu,
    jobs::{Failure, RunningJob},
    owners::Owners,
    planner::{Dispatch, Errand, Next, Slot, Work},
};

impl Owners {
    pub(super) fn dispatch(&mut self, dispatch: Dispatch) {
        match dispatch {
            Dispatch::Start(next) => self.start(*next),
            Dispatch::Reread(weights) => self.inventory.reread_checkpoint(&weights),
            Dispatch::Refuse(why) => {
                if let Some(client) = self.jobs.take_order() {
                    let _ = client.send(Reply::Failed(other(&why.to_string())));
                }
            }
        }
    }

    /// Starts a job, or records why that failed.
    fn start(&mut self, mut next: Next) {
        let (job, engine, weights) = (next.want.job, next.want.engine, next.want.weights);
        if let (Task::Build, Weights::Shared(signature)) = (&next.task, &next.spec.weights) {
            let parameters = self.store.parameters(signature);
            next.source = parameters.map(|parameters| Source::Signature { parameters });
            if next.source.is_none() {
                return self.inventory.reread_checkpoint(&weights);
            }
        }
        let label = next.want.label();
        let gpu = self.snapshot().gpu_at(next.slot).map(|gpu| gpu.name.clone());
        let gpu = gpu.as_deref();
        let mut client = None;
        match next.want.errand {
            Errand::Build => info!(engine = %engine.short(), gpu, "building {label}"),
            Errand::Validate => info!(engine = %engine.short(), gpu, "validating {label}"),
            Errand::Materialize => client = self.jobs.take_order(),
        }
        let evict = std::mem::take(&mut next.evict);
        let mut evict = evict.iter();
        let room = evict.try_for_each(|one| self.library.remove(one, Removal::OverQuota));
        let Err(error) = room.and_then(|()| self.launch(next, &mut client)) else { return };
        if let Some(client) = client {
            return drop(client.send(Reply::Failed(other(&format!("{error:#}")))));
        }
        match Failure::from(error) {
            Failure::DiskFull(reason) | Failure::Trouble(reason) => self.record_trouble(reason),
            failure => {
                warn!(engine = %engine.short(), "{failure}");
                self.retry.record_failure(job, failure.to_string());
            }
        }
        self.timers.learned();
    }

    /// Gives a job to a worker, and takes its client. The slot must be free.
    fn launch(&mut self, next: Next, client: &mut Option<oneshot::Sender<Reply>>) -> Result<()> {
        let Next { want, slot, spec, task, source, location, .. } = next;
        let source = source.context("the checkpoint is gone")?;
        let target = self.desired.target().as_ref().ok().context("there is no TensorRT")?;
        let libraries = target.runtime.libraries.clone();
        let scratch = self.library.scratch().context("cannot make a folder to work in")?;
        // What somebody waits for is not tried again by itself.
        if want.errand != Errand::Materialize {
            self.retry.record_begin(&want.job).context("cannot write down that a job begins")?;
        }
        let gpu = gpu_for(self.gate.gpus(), slot, &spec);
        let phase = if matches!(task, Task::Validate(_)) { Phase::Load } else { Phase::Graph };
        let job = Job { task, spec, source, libraries, folder: scratch.path().to_owned(), gpu };
        let (id, mailbox) = (want.job, self.mailbox.clone());
        let hear = {
            let mailbox = mailbox.clone();
            Box::new(move |progress| mailbox.send(Event::Progress(id, progress)))
        };
        let doing = self.jobs.builder().start(job.clone(), hear);
        let task = tokio::spawn(async move { mailbox.send(Event::Ended(id, doing.await)) });
        let progress = Progress { phase, percent: 0 };
        let gpu = self.snapshot().gpu_at(slot).map(|gpu| gpu.uuid.clone());
        let work = Work { want, gpu, progress, started: Instant::now() };
        let (location, task) = (text(&location), task.abort_handle());
        self.jobs.record_start(RunningJob::new(work, job, location, client.take(), task, scratch));
        Ok(())
    }
}

/// Returns the GPU of a job in this slot. An engine for a GPU that TensorRT can't build for by name is built
/// on that GPU.
fn gpu_for(gpus: &[Gpu], slot: Slot, spec: &EngineSpec) -> Option<String> {
    let is_named = |gpu: &&Gpu| !BUILDABLE.contains(&gpu.compute_capability);
    let gpu = match slot {
        Slot::Aside if spec.compute_capabilities.is_empty() => gpus.iter().find(is_named),
        Slot::Aside => None,
        Slot::Device(number) => gpus.get(number),
    };
    gpu.map(|gpu| gpu.uuid.clone())
}
