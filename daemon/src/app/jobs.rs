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
    room, view,
    world::{Work, World},
};
use crate::{
    build::{Done, EngineSpec, Failure, Job, Phase, Progress, Published, Task, is_disk_full},
    schedule::{BACK_OFF, Errand, Held, Setback, Want},
    watch::Stamp,
};

/// A worker that dies this often without a word is not started again by itself.
const DEATHS: u32 = 3;

/// What a worker that did something else is said to have done.
pub(super) const MIXED_UP: &str = "the worker did another job than its own; please report this bug";

/// A job under way, and its worker.
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

/// A job to start.
pub(super) struct Next {
    want: Want,
    /// Where it is done.
    place: usize,
    spec: EngineSpec,
    checkpoint: PathBuf,
}

impl World {
    /// What is to be done now: the first in the queue that nothing speaks against, and where.
    pub(super) fn next(&self, held: &HashMap<Id, Held<'_>>, queue: &[Want]) -> Option<Next> {
        let mut possible = queue.iter().filter(|want| want.obstacle.is_none());
        let (want, place) = possible.find_map(|want| Some((want, self.place_for(want)?)))?;
        let held = held.get(&want.weights)?;
        let spec = match want.errand {
            Errand::Build => self.wanted(held)?.wanted.spec.clone(),
            _ => self.library.manifests().get(&want.engine)?.spec.clone(),
        };
        Some(Next {
            want: want.clone(),
            place,
            spec,
            checkpoint: held.paths.first()?.to_path_buf(),
        })
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
}

impl Actor {
    /// Starts building or trying, or notes why that can't be.
    pub(super) fn start(&mut self, next: Next) {
        let Next { want, place, spec, checkpoint } = next;
        let (job, engine) = (want.job, want.engine);
        let started = match want.errand {
            Errand::Build => {
                info!(engine = %engine.short(), place, "building for {}", checkpoint.display());
                let room = self.make_room(&spec.weights, want.takes.disk_bytes);
                room.and_then(|()| {
                    self.launch(want, place, Task::Build, spec, checkpoint, &mut None)
                })
            }
            _ => {
                info!(engine = %engine.short(), place, "trying with {}", checkpoint.display());
                let task = Task::Try(self.world.published(&engine));
                self.launch(want, place, task, spec, checkpoint, &mut None)
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

    /// Has a worker do `task`, and takes who waits for it. None may be at work in that place.
    pub(super) fn launch(
        &mut self,
        want: Want,
        place: usize,
        task: Task,
        spec: EngineSpec,
        checkpoint: PathBuf,
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let target = self.world.target.as_ref().ok().context("there is no TensorRT")?;
        let libraries = target.runtime.libraries.clone();
        let file = self.world.catalogue.at(&checkpoint);
        let stamp = file.map(|file| file.stamp).context("the checkpoint is gone")?;
        let scratch = self.world.library.scratch().context("cannot make a folder to work in")?;
        let gpu = self.world.uuid_at(place).map(str::to_owned);
        let phase = if task == Task::Build { Phase::Graph } else { Phase::Load };
        let job = Job {
            task,
            spec,
            checkpoint,
            stamp,
            libraries,
            folder: scratch.path().to_owned(),
            gpu: gpu.clone(),
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
        self.world.work.push(Work { want: want.clone(), gpu, progress, started });
        let (task, client) = (task.abort_handle(), client.take());
        self.running.push(Running { job, want, started, client, task, _scratch: scratch });
        self.tell_working();
        Ok(())
    }

    pub(super) fn progress(&mut self, job: Id, progress: Progress) {
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
    pub(super) fn abandon(&mut self, job: Id, why: &str) {
        let Some(mut running) = self.take_running(job) else { return };
        if running.want.errand == Errand::Build {
            self.record(&running, Ended::Abandoned(why));
        }
        if let Some(client) = running.client.take() {
            let _ = client.send(Reply::Failed(other(&format!("not materialized: {why}"))));
        }
        self.leave_place(job);
    }

    fn take_running(&mut self, job: Id) -> Option<Running> {
        let index = self.running.iter().position(|running| running.want.job == job)?;
        Some(self.running.remove(index))
    }

    /// Leaves a job's place to others.
    fn leave_place(&mut self, job: Id) {
        self.world.work.retain(|work| work.want.job != job);
        self.tell_working();
    }

    /// Takes in how a job ended.
    pub(super) fn ended(&mut self, job: Id, result: Result<Done, Failure>) {
        let Some(running) = self.take_running(job) else { return };
        match running.want.errand {
            Errand::Build => self.built(&running, result),
            Errand::Try => self.tried(&running, result),
            Errand::Materialize => self.materialized(running, result),
        }
        self.leave_place(job);
        self.refresh();
    }

    /// The reason not to do a job again that failed so; otherwise it waits for its turn.
    pub(super) fn final_reason(&mut self, running: &Running, failure: Failure) -> Option<String> {
        let job = running.want.job;
        match failure {
            Failure::OutOfMemory { .. } => self.ran_out(job, failure.to_string()),
            Failure::DiskFull(reason) if self.lacks_room(running) => {
                warn!("{reason}; waiting for room");
                None
            }
            // Whatever it says, it may be about another file.
            Failure::Refused(reason) if moved(&running.job) => self.died(job, reason),
            // Here there is room again, or what gives out is something that can't be seen.
            Failure::Died(reason) | Failure::DiskFull(reason) => self.died(job, reason),
            Failure::Refused(_) | Failure::Unshareable(_) => Some(failure.to_string()),
        }
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
