//! What a worker does for the daemon, one job at a time.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context, Result};
use checkpoint::Id;
use config::runtime::onnx_runtime;
use protocol::{Event, Reply};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    task::AbortHandle,
    time::{Duration, Instant},
};
use tracing::{info, warn};

use super::{
    actor::Actor,
    due::sooner,
    messages::Message,
    past::Ended,
    requests::other,
    view,
    world::{Work, World},
};
use crate::{
    build::{Done, EngineSpec, Failure, Job, Phase, Progress, Published, Task, Weights},
    schedule::{BACK_OFF, Errand, Held, Identity, Setback, Want},
    watch::Stamp,
};

/// A worker that dies this often without a word is not started again by itself.
const DEATHS: u32 = 3;

/// What a worker that did something else is said to have done.
pub(super) const MIXED_UP: &str = "the worker did another job than its own; please report this bug";

/// A job under way.
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) want: Want,
    pub(super) started: Instant,
    /// Who waits for what is materialized.
    pub(super) client: Option<oneshot::Sender<Reply>>,
    task: AbortHandle,
    /// The job's folder; goes with it.
    _scratch: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// What is to be done now: the first in the queue that nothing speaks against. With the engine, its
    /// checkpoint, and where that lies.
    pub(super) fn next(
        &self,
        held: &HashMap<Id, Held<'_>>,
        queue: &[Want],
    ) -> Option<(Want, EngineSpec, Identity, PathBuf)> {
        let may_start = |want: &&Want| want.obstacle.is_none() && self.may_start(&want.engine);
        let want = queue.iter().find(may_start)?;
        let held = held.get(&want.weights)?;
        let spec = match want.errand {
            Errand::Build => self.wanted(held)?.wanted.spec.clone(),
            _ => self.library.manifests().get(&want.engine)?.spec.clone(),
        };
        Some((want.clone(), spec, held.identity.clone(), held.paths.first()?.to_path_buf()))
    }

    /// Where the files of a published engine are.
    pub(super) fn published(&self, engine: &Id) -> Published {
        Published {
            plan: self.library.plan(engine),
            constants: self.library.constants(engine),
            kernels: self.config.data_dir.join("kernels").join(format!("{engine}.cache")),
            onnx_runtime: onnx_runtime(&self.config.data_dir),
        }
    }

    /// The GPU for an engine that any would do for, if it takes one.
    pub(super) fn gpu_for(&self, weights: &Weights) -> Option<&str> {
        let first = self.gpus.first().map(|gpu| gpu.uuid.as_str());
        first.filter(|_| matches!(weights, Weights::Shared(_)))
    }
}

impl Actor {
    /// Starts building or trying, or notes why that can't be.
    pub(super) fn start(
        &mut self,
        want: Want,
        spec: EngineSpec,
        identity: &Identity,
        path: PathBuf,
    ) {
        let (job, engine) = (want.job, want.engine);
        let started = match want.errand {
            Errand::Build => {
                info!(engine = %engine.short(), "building for {}", path.display());
                let room = self.make_room(identity, &spec.weights);
                room.and_then(|()| self.launch(want, Task::Build, spec, path, &mut None))
            }
            _ => {
                info!(engine = %engine.short(), "trying with {}", path.display());
                let task = Task::Try(self.world.published(&engine));
                self.launch(want, task, spec, path, &mut None)
            }
        };
        if let Err(error) = started {
            let reason = format!("{error:#}");
            warn!(engine = %engine.short(), "{reason}");
            self.world.set_back(job, Some(Setback::Failed(reason)));
            self.learned();
            self.refresh_soon();
        }
    }

    /// Has a worker do `task`, and takes who waits for it. None may be at work.
    pub(super) fn launch(
        &mut self,
        want: Want,
        task: Task,
        spec: EngineSpec,
        checkpoint: PathBuf,
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let target = self.world.target.as_ref().ok().context("there is no TensorRT")?;
        let libraries = target.runtime.libraries.clone();
        let location = self.world.catalogue.locations().get(&*checkpoint);
        let stamp = location.map(|location| location.stamp).context("the checkpoint is gone")?;
        let scratch = self.world.library.scratch().context("cannot make a folder to work in")?;
        let phase = if task == Task::Build { Phase::Graph } else { Phase::Load };
        let job = Job {
            task,
            spec,
            checkpoint,
            stamp,
            libraries,
            folder: scratch.path().to_owned(),
            gpu: want.gpu.as_ref().map(|share| share.uuid.clone()),
        };
        let (id, mailbox) = (want.job, self.mailbox.clone());
        let hear = {
            let mailbox = mailbox.clone();
            Box::new(move |progress| mailbox.send(Message::Progress(id, progress)))
        };
        let doing = self.builder.start(job.clone(), hear);
        let task = tokio::spawn(async move { mailbox.send(Message::Ended(id, doing.await)) });
        let started = Instant::now();
        let progress = Progress { phase, percent: 0 };
        self.world.work = Some(Work { want: want.clone(), progress, started });
        let (task, client) = (task.abort_handle(), client.take());
        self.running = Some(Running { job, want, started, client, task, _scratch: scratch });
        self.tell_working();
        Ok(())
    }

    pub(super) fn progress(&mut self, job: Id, progress: Progress) {
        let Some(work) = self.world.work.as_mut().filter(|work| work.want.job == job) else {
            return;
        };
        if work.progress != progress {
            work.progress = progress;
            self.tell_working();
        }
    }

    fn tell_working(&mut self) {
        self.show_manager();
        self.tell(&Event::Building(self.world.work.as_ref().map(view::building)));
    }

    /// Ends the job under way and its worker. What is not materialized waits for its turn again.
    pub(super) fn abandon(&mut self, why: &str) {
        if let Some(mut running) = self.running.take() {
            if running.want.errand == Errand::Build {
                self.record(&running, Ended::Abandoned(why));
            }
            if let Some(client) = running.client.take() {
                let _ = client.send(Reply::Failed(other(&format!("not materialized: {why}"))));
            }
        }
        self.world.work = None;
        self.tell_working();
    }

    /// Takes in how a job ended.
    pub(super) fn ended(&mut self, job: Id, result: Result<Done, Failure>) {
        let Some(running) = self.running.take_if(|running| running.want.job == job) else {
            return;
        };
        match running.want.errand {
            Errand::Build => self.built(&running, result),
            Errand::Try => self.tried(&running, result),
            Errand::Materialize => self.materialized(running, result),
        }
        self.world.work = None;
        self.tell_working();
        self.refresh();
    }

    /// The reason not to do a job again that failed so; otherwise it waits for its turn.
    pub(super) fn final_reason(&mut self, running: &Running, failure: Failure) -> Option<String> {
        let job = running.want.job;
        match failure {
            Failure::OutOfMemory { .. } => self.ran_out(job, failure.to_string()),
            // Whatever it says, it may be about another file.
            Failure::Refused(reason) if moved(&running.job) => self.died(job, reason),
            Failure::Died(reason) => self.died(job, reason),
            Failure::Refused(_) | Failure::Unshareable(_) => Some(failure.to_string()),
        }
    }

    /// The reason not to try again, once it has died often enough.
    fn died(&mut self, job: Id, reason: String) -> Option<String> {
        self.scan_now();
        let deaths = self.world.deaths.entry(job).or_default();
        *deaths += 1;
        if *deaths < DEATHS {
            warn!("{reason}; trying again");
            return None;
        }
        Some(format!("{reason}; this happened {deaths} times"))
    }

    /// The reason not to try again, after the second time.
    fn ran_out(&mut self, job: Id, reason: String) -> Option<String> {
        if self.world.ran_out.remove(&job).is_some() {
            return Some(reason);
        }
        warn!("{reason}; trying once more after {} s", BACK_OFF.as_secs());
        self.world.ran_out.insert(job, Instant::now());
        None
    }

    /// Looks again once a job that ran out of memory may start.
    pub(super) fn look_for_memory(&mut self) {
        let now = Instant::now();
        let over = self.world.ran_out.values().map(|since| *since + BACK_OFF);
        if let Some(next) = over.filter(|over| *over > now).min() {
            self.due.show = sooner(self.due.show, next + Duration::from_millis(1));
        }
    }
}

/// Whether the checkpoint is no longer where or what it was, which explains any failure.
fn moved(job: &Job) -> bool {
    Stamp::of(&job.checkpoint).ok() != Some(job.stamp)
}
