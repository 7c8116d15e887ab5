//! What a worker does for the daemon, one job at a time.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context, Result};
use checkpoint::Id;
use config::runtime::{BUILDABLE, onnx_runtime};
use engine::{
    EngineSpec, Job, Phase, Progress, Published, Source, Task, Weights, is_disk_full,
    kernels_folder,
};
use protocol::{Event, Reply};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    task::AbortHandle,
    time::{Duration, Instant},
};
use tracing::{info, warn};

use crate::{
    api::{requests::other, view},
    build::{Done, Failure},
    event::Message,
    event_loop::Actor,
    gate::Gpu,
    inventory::{Held, Hint, Stamp},
    jobs::history::Ended,
    planner::{
        BACK_OFF, Errand, Setback, Want, room,
        slots::Slot,
        snapshot::{Work, World},
    },
    timers::sooner,
};

/// A worker that dies this often without a word is not started again by itself.
const DEATHS: u32 = 3;

/// What a worker that did something else is said to have done.
pub(crate) const MIXED_UP: &str = "the worker did another job than its own; please report this bug";

/// A job under way, and its worker.
pub(crate) struct Running {
    pub(crate) job: Job,
    pub(crate) want: Want,
    /// Where the checkpoint that it is for lay when it began.
    pub(crate) location: String,
    pub(crate) started: Instant,
    /// Who waits for what is materialized.
    pub(crate) client: Option<oneshot::Sender<Reply>>,
    task: AbortHandle,
    /// The job's folder; goes with it.
    _scratch: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A job to start.
pub(crate) struct Next {
    pub(crate) want: Want,
    pub(crate) slot: Slot,
    pub(crate) spec: EngineSpec,
    /// What it is made of, or run with, if that is known.
    pub(crate) source: Option<Source>,
    /// Where the checkpoint that it is for lies.
    pub(crate) location: PathBuf,
}

impl World {
    /// What is to be done now: the first in the queue that nothing speaks against, and where.
    pub(crate) fn next(&self, held: &HashMap<Id, Held<'_>>, queue: &[Want]) -> Option<Next> {
        let mut possible = queue.iter().filter(|want| want.obstacle.is_none() && !self.stopping);
        let (want, slot) = possible.find_map(|want| Some((want, self.slot_for(want)?)))?;
        let held = held.get(&want.weights)?;
        let spec = match want.errand {
            Errand::Build => {
                let desired = self.desired(held);
                let desired = desired.iter().find(|desired| desired.engine == want.engine)?;
                desired.wanted.spec.clone()
            }
            _ => self.library.manifests().get(&want.engine)?.spec.clone(),
        };
        let source = match (want.errand, spec.weights) {
            (Errand::Build, Weights::Shared(signature)) => {
                let parameters = self.store.parameters(&signature);
                parameters.map(|parameters| Source::Signature { parameters })
            }
            _ => self.checkpoint(held),
        };
        let location = held.paths.first()?.to_path_buf();
        Some(Next { want: want.clone(), slot, spec, source, location })
    }

    /// A file with these weights.
    pub(crate) fn checkpoint(&self, held: &Held<'_>) -> Option<Source> {
        let path = *held.paths.first()?;
        let stamp = self.catalogue.at(path)?.stamp;
        Some(Source::Checkpoint { path: path.to_owned(), stamp })
    }

    /// Where the files of a published engine are that is run there.
    fn published(&self, engine: &Id, spec: &EngineSpec, slot: Slot) -> Result<Published> {
        let gpu = self.gpu_at(slot).context("the GPU is gone")?;
        let folder = kernels_folder(&gpu.name, &gpu.driver, &spec.version);
        let kernels = self.config.data_dir.join("kernels").join(folder);
        Ok(Published {
            plan: self.library.plan(engine),
            kernels: kernels.join(format!("{engine}.cache")),
            onnx_runtime: onnx_runtime(&self.config.data_dir),
        })
    }

    /// The GPU of a job in this slot. One for a card that TensorRT can't be told to build for is done on it.
    fn gpu_for(&self, slot: Slot, spec: &EngineSpec) -> Option<String> {
        let is_named = |gpu: &&Gpu| !BUILDABLE.contains(&gpu.compute_capability);
        let unnamed = || self.gpus.iter().find(is_named);
        let gpu = match slot {
            Slot::Aside if spec.compute_capabilities.is_empty() => unnamed(),
            slot => self.gpu_at(slot),
        };
        gpu.map(|gpu| gpu.uuid.clone())
    }
}

impl Actor {
    /// Starts building or validating, or notes why that can't be.
    pub(crate) fn start(&mut self, next: Next) {
        if next.source.is_none() {
            return self.learn_again(&next.want.weights);
        }
        let Next { want, slot, .. } = &next;
        let (job, engine) = (want.job, want.engine);
        let started = match want.errand {
            Errand::Build => {
                info!(engine = %engine.short(), ?slot, "building {}", want.label());
                let room = self.make_room(&want.weights, want.takes.disk_bytes);
                room.and_then(|()| self.launch(next, Task::Build, &mut None))
            }
            _ => {
                info!(engine = %engine.short(), ?slot, "validating {}", want.label());
                let published = self.world.published(&engine, &next.spec, *slot);
                published
                    .and_then(|published| self.launch(next, Task::Validate(published), &mut None))
            }
        };
        if let Err(error) = started {
            let reason = format!("{error:#}");
            warn!(engine = %engine.short(), "{reason}");
            let lasting = if is_disk_full(&error) { self.died(job, reason) } else { Some(reason) };
            if let Some(reason) = lasting {
                self.world.set_back(job, Some(Setback::Failed(reason)));
                self.learned();
            }
            self.refresh_soon();
        }
    }

    /// Has files be read again of which too little is known.
    fn learn_again(&mut self, weights: &Id) {
        let held = self.world.catalogue.held();
        let paths = held.get(weights).map(|held| held.paths.iter().map(|path| path.to_path_buf()));
        let paths: Vec<PathBuf> = paths.into_iter().flatten().collect();
        drop(held);
        for path in paths {
            self.world.catalogue.reread(&path);
        }
    }

    /// Has a worker do `task`, and takes who waits for it. None may be at work in that slot.
    pub(crate) fn launch(
        &mut self,
        next: Next,
        task: Task,
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let Next { want, slot, spec, source, location } = next;
        let source = source.context("the checkpoint is gone")?;
        let target = self.world.target.as_ref().ok().context("there is no TensorRT")?;
        let libraries = target.runtime.libraries.clone();
        let scratch = self.world.library.scratch().context("cannot make a folder to work in")?;
        let gpu = self.world.gpu_for(slot, &spec);
        let phase = if matches!(task, Task::Validate(_)) { Phase::Load } else { Phase::Graph };
        let job = Job { task, spec, source, libraries, folder: scratch.path().to_owned(), gpu };
        let (id, mailbox) = (want.job, self.mailbox.clone());
        let hear = {
            let mailbox = mailbox.clone();
            Box::new(move |progress| mailbox.send(Message::Progress(id, progress)))
        };
        let doing = self.builder.start(job.clone(), hear);
        let task = tokio::spawn(async move { mailbox.send(Message::Ended(id, doing.await)) });
        let started = Instant::now();
        let progress = Progress { phase, percent: 0 };
        let gpu = self.world.gpu_at(slot).map(|gpu| gpu.uuid.clone());
        self.world.work.push(Work { want: want.clone(), gpu, progress, started });
        let (task, client) = (task.abort_handle(), client.take());
        let location = view::text(&location);
        let running = Running { job, want, location, started, client, task, _scratch: scratch };
        self.running.push(running);
        self.tell_working();
        Ok(())
    }

    pub(crate) fn progress(&mut self, job: Id, progress: Progress) {
        let mut work = self.world.work.iter_mut();
        let Some(work) = work.find(|work| work.want.job == job) else { return };
        if work.progress != progress {
            work.progress = progress;
            self.tell_working();
        }
    }

    fn tell_working(&mut self) {
        self.show_manager();
        self.tell(&Event::Building(view::building(&self.world)));
    }

    /// Ends a job under way and its worker.
    pub(crate) fn abandon(&mut self, job: Id, why: &str) {
        let Some(mut running) = self.take_running(job) else { return };
        if running.want.errand == Errand::Build {
            self.record(&running, Ended::Abandoned(why));
        }
        if let Some(client) = running.client.take() {
            let _ = client.send(Reply::Failed(other(&format!("not materialized: {why}"))));
        }
        self.leave_slot(job);
    }

    fn take_running(&mut self, job: Id) -> Option<Running> {
        let index = self.running.iter().position(|running| running.want.job == job)?;
        Some(self.running.remove(index))
    }

    /// Leaves a job's slot to others.
    fn leave_slot(&mut self, job: Id) {
        self.world.work.retain(|work| work.want.job != job);
        self.tell_working();
    }

    /// Takes in how a job ended.
    pub(crate) fn ended(&mut self, job: Id, result: Result<Done, Failure>) {
        let Some(running) = self.take_running(job) else { return };
        match running.want.errand {
            Errand::Build => self.built(&running, result),
            Errand::Validate => self.validated(&running, result),
            Errand::Materialize => self.materialized(running, result),
        }
        self.leave_slot(job);
        self.refresh();
    }

    /// The reason not to do a job again that failed so; otherwise it waits for its turn.
    pub(crate) fn final_reason(&mut self, running: &Running, failure: Failure) -> Option<String> {
        let job = running.want.job;
        if matches!(failure, Failure::Refused(_) | Failure::Died(_)) && self.has_moved(&running.job)
        {
            warn!("{failure}; its file has changed");
            return None;
        }
        match failure {
            Failure::OutOfMemory { .. } => self.ran_out(job, failure.to_string()),
            Failure::DiskFull(reason) if self.lacks_room(running) => {
                warn!("{reason}; waiting for room");
                None
            }
            // Here there is room again, or what gives out is something that can't be seen.
            Failure::Died(reason) | Failure::DiskFull(reason) => self.died(job, reason),
            Failure::Refused(_) | Failure::Unfit(_) => Some(failure.to_string()),
        }
    }

    /// Whether the job's checkpoint is no longer where or what it was, which explains any failure: what is
    /// there instead is taken in, so that another file is next, if there is one.
    fn has_moved(&mut self, job: &Job) -> bool {
        let Some((path, stamp)) = job.file() else { return false };
        let found = Stamp::of(path).ok();
        if found == Some(*stamp) {
            return false;
        }
        // Its disk may be away: before everything was looked at nothing counts as deleted.
        self.hint(Hint::Moved);
        let store = &self.world.store;
        let now = Instant::now().into_std();
        self.world.catalogue.looked(path, found, now, |stamp| store.outcome(stamp));
        true
    }

    /// Whether the disk lacks room for this job's engine now. If so, what is free counts for others too,
    /// although something else may be built at present.
    fn lacks_room(&mut self, running: &Running) -> bool {
        let Ok(free) = self.world.library.free_bytes() else { return false };
        let needed = running.want.takes.disk_bytes;
        let lacks = room::obstacle(needed, 0, free, &self.world.config).is_some();
        if lacks {
            self.world.free = Ok(free);
        }
        lacks
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
    pub(crate) fn look_for_memory(&mut self) {
        let now = Instant::now();
        let over = self.world.ran_out.values().map(|since| *since + BACK_OFF);
        if let Some(next) = over.filter(|over| *over > now).min() {
            self.due.show = sooner(self.due.show, next + Duration::from_millis(1));
        }
    }
}
