//! What a worker does for the daemon, one job at a time.

use std::path::PathBuf;

use anyhow::{Context, Result};
use checkpoint::Id;
use engine::{Job, Progress};
use protocol::{Event, Reply};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};
use tracing::warn;

use crate::{
    api::view,
    build::{Done, Failure},
    event::Message,
    event_loop::Actor,
    inventory::{Hint, Stamp},
    jobs::RunningJob,
    planner::{Errand, plan::Next, room, snapshot::Work},
    reconcile::{first_phase, gpu_for},
    timers::sooner,
};
use engine::Phase;

/// What a worker that did something else is said to have done.
pub(crate) const MIXED_UP: &str =
    "the worker reported on another job than the one it was given; please report this as a bug";

impl Actor {
    /// Has files be read again of which too little is known.
    pub(crate) fn learn_again(&mut self, weights: &Id) {
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
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let Next { want, slot, spec, task, source, location, .. } = next;
        let source = source.context("the checkpoint is gone")?;
        let target = self.world.target.as_ref().ok().context("there is no TensorRT")?;
        let libraries = target.runtime.libraries.clone();
        let scratch = self.world.library.scratch().context("cannot make a folder to work in")?;
        let gpu = gpu_for(&self.world.gpus, slot, &spec);
        let phase = first_phase(&task);
        let job = Job { task, spec, source, libraries, folder: scratch.path().to_owned(), gpu };
        let (id, mailbox) = (want.job, self.mailbox.clone());
        let hear = {
            let mailbox = mailbox.clone();
            Box::new(move |progress| mailbox.send(Message::Progress(id, progress)))
        };
        let doing = self.world.jobs.builder().start(job.clone(), hear);
        let task = tokio::spawn(async move { mailbox.send(Message::Ended(id, doing.await)) });
        let started = Instant::now();
        let progress = Progress { phase, percent: 0 };
        let gpu = self.world.gpu_at(slot).map(|gpu| gpu.uuid.clone());
        let work = Work { want, gpu, progress, started };
        let location = view::text(&location);
        let running =
            RunningJob::new(work, job, location, client.take(), task.abort_handle(), scratch);
        self.world.jobs.record_start(running);
        self.tell_working();
        Ok(())
    }

    pub(crate) fn progress(&mut self, job: Id, progress: Progress) {
        if self.world.jobs.record_progress(job, progress) {
            self.tell_working();
        }
    }

    pub(crate) fn tell_working(&mut self) {
        self.show_manager();
        self.tell(&Event::Building(view::building(&self.world)));
    }

    /// Takes in how a job ended.
    pub(crate) fn ended(&mut self, job: Id, result: Result<Done, Failure>) {
        let is_build = |work: &Work| work.want.job == job && work.want.errand == Errand::Build;
        if self.world.jobs.work().any(is_build) {
            self.progress(job, Progress { phase: Phase::Publish, percent: 0 });
        }
        let Some(running) = self.world.jobs.record_end(job) else { return };
        match running.work.want.errand {
            Errand::Build => self.built(&running, result),
            Errand::Validate => self.validated(&running, result),
            Errand::Materialize => self.materialized(running, result),
        }
        self.tell_working();
        self.due.now();
    }

    /// The reason not to do a job again that failed so; otherwise it waits for its turn.
    pub(crate) fn final_reason(
        &mut self,
        running: &RunningJob,
        failure: Failure,
    ) -> Option<String> {
        let job = running.work.want.job;
        if matches!(failure, Failure::Refused(_) | Failure::Died(_)) && self.has_moved(&running.job)
        {
            warn!("{failure}; its file has changed");
            return None;
        }
        match failure {
            Failure::OutOfMemory { .. } => {
                self.world.retry.record_out_of_memory(job, failure.to_string())
            }
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
    fn lacks_room(&mut self, running: &RunningJob) -> bool {
        let Ok(free) = self.world.library.free_bytes() else { return false };
        let needed = running.work.want.takes.disk_bytes;
        let lacks = room::obstacle(needed, 0, free, &self.world.config).is_some();
        if lacks {
            self.world.free = Ok(free);
        }
        lacks
    }

    /// The reason not to try again, once it has died often enough.
    pub(crate) fn died(&mut self, job: Id, reason: String) -> Option<String> {
        self.scan_now();
        self.world.retry.record_death(job, reason)
    }

    /// Looks again once a job that ran out of memory may start.
    pub(crate) fn look_for_memory(&mut self) {
        if let Some(next) = self.world.retry.next() {
            self.due.show = sooner(self.due.show, next + Duration::from_millis(1));
        }
    }
}
