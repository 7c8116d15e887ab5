//! The jobs that workers do for the daemon.
//!
//! Only `sdtrt-worker` uses TensorRT, a separate process for each job: a crash or a leak in it costs one job
//! and never the daemon.

mod end;
mod failure;
pub(crate) mod logs;
mod output;
mod runtime;
mod supervisor;
mod worker;

use std::{collections::VecDeque, sync::Arc, thread::available_parallelism};

use checkpoint::{Id, Ids};
use engine::{Job, Progress};
use protocol::{Finished, Outcome, Reply};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::AbortHandle};

pub use failure::{Done, Failure, Fetched};
pub use runtime::{RuntimeProblem, find_runtime};
pub use supervisor::{Builder, Doing, Hear, WorkerProcess, log_name};
pub use worker::WorkerProblem;

use crate::planner::{Order, Work, builders};

/// The running jobs, one for each slot, and the plans that clients have ordered.
pub(crate) struct Jobs {
    running: Vec<RunningJob>,
    orders: VecDeque<(Order, oneshot::Sender<Reply>)>,
    /// Starts workers.
    builder: Arc<dyn Builder>,
    /// How many jobs may run aside.
    builders: usize,
    /// Whether the running jobs have changed since this was last asked.
    changed: bool,
}

/// A running job and its worker, which ends with it.
pub(crate) struct RunningJob {
    pub(crate) work: Work,
    pub(crate) job: Job,
    /// The checkpoint's location when the job started.
    pub(crate) location: String,
    /// The client that waits for the plan.
    pub(crate) client: Option<oneshot::Sender<Reply>>,
    task: AbortHandle,
    /// The job's folder, deleted with it.
    _scratch: TempDir,
}

impl RunningJob {
    pub(crate) fn new(
        work: Work,
        job: Job,
        location: String,
        client: Option<oneshot::Sender<Reply>>,
        task: AbortHandle,
        scratch: TempDir,
    ) -> Self {
        Self { work, job, location, client, task, _scratch: scratch }
    }

    /// Returns its entry in the history: how and when (in seconds since 1970) it ended.
    pub(crate) fn finished(&self, ended: Ended<'_>, ended_at: u64) -> Finished {
        let (outcome, reason, bytes) = match ended {
            Ended::Built(bytes) => (Outcome::Built, None, Some(bytes)),
            Ended::Fetched(bytes) => (Outcome::Fetched, None, Some(bytes)),
            Ended::Validated => (Outcome::Validated, None, None),
            Ended::Failed(reason) => (Outcome::Failed, Some(reason.to_owned()), None),
            Ended::Abandoned(reason) => (Outcome::Abandoned, Some(reason.to_owned()), None),
        };
        Finished {
            engine: self.job.spec.key(),
            weights_id: self.work.want.weights,
            location: self.location.clone(),
            preset: self.work.want.label(),
            outcome,
            reason,
            seconds: self.work.started.elapsed().as_secs(),
            bytes,
            ended_at,
        }
    }
}

/// How a build or a validation ended.
pub(crate) enum Ended<'a> {
    /// With an engine of this many bytes.
    Built(u64),
    /// With an engine of this many bytes, which another machine has built.
    Fetched(u64),
    /// With findings.
    Validated,
    /// For this reason, and will not be retried automatically.
    Failed(&'a str),
    /// For this reason, and is queued again.
    Abandoned(&'a str),
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Jobs {
    /// No jobs yet. `builder` does them.
    pub(crate) fn new(builder: Arc<dyn Builder>) -> Self {
        let builders = builders(available_parallelism().map_or(1, usize::from));
        Self { running: Vec::new(), orders: VecDeque::new(), builder, builders, changed: false }
    }

    pub(crate) fn running(&self) -> &[RunningJob] {
        &self.running
    }

    /// The running jobs, the most recent last.
    pub(crate) fn work(&self) -> impl Iterator<Item = &Work> {
        self.running.iter().map(|running| &running.work)
    }

    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// How many jobs may run aside.
    pub(crate) fn builders(&self) -> usize {
        self.builders
    }

    #[cfg(test)]
    pub(crate) fn set_builders(&mut self, builders: usize) {
        self.builders = builders;
    }

    pub(crate) fn builder(&self) -> &dyn Builder {
        &*self.builder
    }

    /// The next ordered plan.
    pub(crate) fn order(&self) -> Option<&Order> {
        self.orders.front().map(|(order, _)| order)
    }

    /// Records a client's order of a plan.
    pub(crate) fn record_order(&mut self, order: Order, client: oneshot::Sender<Reply>) {
        self.orders.push_back((order, client));
    }

    /// Takes the client of the next ordered plan out of the queue.
    pub(crate) fn take_order(&mut self) -> Option<oneshot::Sender<Reply>> {
        self.orders.pop_front().map(|(_, client)| client)
    }

    /// Drops the orders of clients that have disconnected.
    pub(crate) fn forget_closed_orders(&mut self) {
        self.orders.retain(|(_, client)| !client.is_closed());
    }

    /// Records a job's start.
    pub(crate) fn record_start(&mut self, running: RunningJob) {
        self.running.push(running);
        self.changed = true;
    }

    /// Records a checkpoint's new ids.
    pub(crate) fn record_hashed(&mut self, before: &Ids, now: &Ids) {
        let wants = self.running.iter_mut().map(|running| &mut running.work.want);
        for want in wants.filter(|want| want.weights == before.weights) {
            (want.weights, want.unet) = (now.weights, now.unet);
            self.changed = true;
        }
        let orders = self.orders.iter_mut().map(|(order, _)| order);
        for order in orders.filter(|order| order.weights == before.weights) {
            order.weights = now.weights;
        }
    }

    /// Records a job's progress.
    pub(crate) fn record_progress(&mut self, job: Id, progress: Progress) {
        let mut running = self.running.iter_mut();
        let Some(running) = running.find(|running| running.work.want.job == job) else { return };
        self.changed |= running.work.progress != progress;
        running.work.progress = progress;
    }

    /// Records a job's end; dropping it ends its worker.
    pub(crate) fn record_end(&mut self, job: Id) -> Option<RunningJob> {
        let index = self.running.iter().position(|running| running.work.want.job == job)?;
        self.changed = true;
        Some(self.running.remove(index))
    }

    /// Ends all jobs and their workers.
    pub(crate) fn end_all(&mut self) {
        self.running.clear();
    }

    /// Whether the running jobs have changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}
