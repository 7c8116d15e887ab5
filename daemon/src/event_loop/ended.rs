//! Handles the ends of jobs.

use std::io;

use checkpoint::Id;
use engine::{Built, Findings, Job, Manifest, Task, Validation};
use protocol::{Materialized, Reply};
use tokio::time::Duration;
use tracing::{info, warn};

use crate::{
    api::{other, text},
    inventory::{Held, Stamp, patiently},
    jobs::{Done, Ended, Failure, Fetched, RunningJob},
    owners::Owners,
    planner::{Errand, room},
    timers::seconds_since_1970,
};

/// The failure if a worker reports the result of another task.
const MIXED_UP: &str =
    "the worker reported on another job than the one it was given; please report this as a bug";

/// How long a file may take to say what it is.
const FILE_PATIENCE: Duration = Duration::from_secs(1);

impl Owners {
    pub(super) fn record_ended(&mut self, job: Id, result: Result<Done, Failure>) {
        let Some(running) = self.jobs.record_end(job) else { return };
        self.retry.record_over(&job);
        if result.is_ok() {
            self.retry.record_no_trouble();
        }
        match running.work.want.errand {
            Errand::Build => self.record_built(&running, result),
            Errand::Validate => self.record_validated(&running, result),
            Errand::Materialize => answer_order(running, result),
        }
        self.timers.now();
    }

    fn record_built(&mut self, running: &RunningJob, result: Result<Done, Failure>) {
        let engine = running.work.want.engine;
        let result = match result {
            Ok(Done::Built(built)) => {
                let bytes = built.bytes;
                self.record_plan(running, built, Vec::new()).map(|()| Ended::Built(bytes))
            }
            Ok(Done::Fetched(fetched)) => {
                let Fetched { built, validations } = *fetched;
                let bytes = built.bytes;
                self.record_plan(running, built, validations).map(|()| Ended::Fetched(bytes))
            }
            Ok(_) => Err(Failure::Refused(MIXED_UP.to_owned())),
            Err(failure) => Err(failure),
        };
        let outcome = match result {
            Ok(ended) => {
                let outcome =
                    if matches!(ended, Ended::Fetched(_)) { "fetched" } else { "published" };
                self.record_history(running, ended);
                outcome
            }
            Err(failure) => {
                let reason = failure.to_string();
                match self.final_reason(running, failure) {
                    None => {
                        self.record_history(running, Ended::Abandoned(&reason));
                        "again"
                    }
                    Some(reason) => {
                        warn!(engine = %engine.short(), "{reason}");
                        self.record_history(running, Ended::Failed(&reason));
                        self.retry.record_failure(engine, reason);
                        self.intent.record_served(&engine);
                        "failed"
                    }
                }
            }
        };
        self.metrics.build_ended(outcome, running.work.started.elapsed());
    }

    fn record_plan(
        &mut self,
        running: &RunningJob,
        built: Built,
        validations: Vec<Validation>,
    ) -> Result<(), Failure> {
        let spec = running.job.spec.clone();
        if let Some(stranger) = built.stranger(&spec.weights) {
            return Err(Failure::Changed(stranger));
        }
        let (key, bytes) = (spec.key(), built.bytes);
        let seconds = running.work.started.elapsed().as_secs_f64();
        let want = &running.work.want;
        let (presets, now) = (want.presets.clone(), seconds_since_1970());
        let manifest = Manifest::new(spec, presets, want.weights, built, now, seconds);
        let manifest = Manifest { validations, ..manifest };
        self.library.record_plan(&running.job, manifest).map_err(not_published)?;
        self.forget_failures(&key);
        self.record_serving(&key);
        info!(engine = %key.short(), bytes, seconds, "engine published");
        Ok(())
    }

    fn record_validated(&mut self, running: &RunningJob, result: Result<Done, Failure>) {
        let outcome = self.record_verdict(running, result);
        self.metrics.validation_ended(outcome, running.work.started.elapsed());
    }

    /// Returns the outcome for the metrics.
    fn record_verdict(
        &mut self,
        running: &RunningJob,
        result: Result<Done, Failure>,
    ) -> &'static str {
        let want = &running.work.want;
        let result = result.and_then(|done| match done {
            Done::Validated(findings) => {
                let verdict = verdict(&findings);
                self.record_findings(running, findings).map(|()| verdict)
            }
            _ => Err(Failure::Refused(MIXED_UP.to_owned())),
        });
        self.intent.record_validated(&want.engine);
        let outcome = match result {
            Ok(verdict) => {
                self.record_history(running, Ended::Validated);
                verdict
            }
            Err(Failure::Unfit(reason)) if self.takes_another(running) => {
                warn!("{reason}; another checkpoint is taken to validate with");
                return "again";
            }
            Err(failure) => {
                // Without a reason it is queued again.
                let Some(reason) = self.final_reason(running, failure) else { return "again" };
                warn!(engine = %want.engine.short(), "not validated: {reason}");
                self.record_history(running, Ended::Failed(&reason));
                self.retry.record_failure(want.job, reason);
                "failed"
            }
        };
        self.record_serving(&want.engine);
        outcome
    }

    /// Whether another checkpoint can be used for a validation whose checkpoint has weights that engines
    /// can't use. If none is left, they are all forgotten, so that a request tries them again.
    fn takes_another(&mut self, running: &RunningJob) -> bool {
        let spec = &running.job.spec;
        self.retry.record_unfit(running.work.want.unet);
        let unfit = self.retry.unfit();
        let is_left = |held: &Held<'_>| {
            spec.weights.fit(held.identity) && !unfit.contains(&held.identity.ids.unet)
        };
        let is_one_left = self.inventory.catalogue().held().values().any(is_left);
        if !is_one_left {
            self.retry.forget_unfit();
        }
        is_one_left
    }

    fn record_findings(&mut self, running: &RunningJob, findings: Findings) -> Result<(), Failure> {
        let (engine, unet) = (running.work.want.engine, running.work.want.unet);
        let mut gpus = self.gate.gpus().iter();
        let gpu = gpus.find(|gpu| Some(&gpu.uuid) == running.job.gpu.as_ref());
        let gpu = gpu.ok_or_else(|| Failure::Held("the GPU is gone".to_owned()))?;
        match &findings.proof {
            Ok(proof) if proof.holds() => {
                info!(engine = %engine.short(), error = proof.relative_error, "the engine is accurate");
            }
            Ok(proof) => {
                let (error, limit) = (proof.relative_error, proof.bound);
                warn!(engine = %engine.short(), error, limit, "the engine is inaccurate");
            }
            Err(why) => warn!(engine = %engine.short(), "engine not compared: {why}"),
        }
        let validation = Validation {
            gpu: gpu.name.clone(),
            driver: gpu.driver.clone(),
            unet,
            validated_at: seconds_since_1970(),
            borrowed: false,
            findings,
        };
        self.retry.record_end(&running.work.want.job);
        self.library.record_validation(&engine, validation).map_err(not_published)
    }

    /// An engine may be used now: it is no longer requested, and what it replaces is removed.
    fn record_serving(&mut self, engine: &Id) {
        let snapshot = self.snapshot();
        let manifest = snapshot.library.manifests().get(engine);
        if manifest.is_none_or(|manifest| snapshot.due_for(manifest, false).is_empty()) {
            self.intent.record_served(engine);
        }
        self.news.serving = true;
    }

    /// Records how a build or a validation ended.
    pub(crate) fn record_history(&mut self, running: &RunningJob, ended: Ended<'_>) {
        self.store.record(&running.finished(ended, seconds_since_1970()));
        self.timers.learned();
    }

    /// Returns why a failed job must not be repeated; otherwise it is queued again, perhaps after a pause.
    fn final_reason(&mut self, running: &RunningJob, failure: Failure) -> Option<String> {
        let job = running.work.want.job;
        let is_of_the_file = matches!(
            failure,
            Failure::Refused(_) | Failure::Died(_) | Failure::Held(_) | Failure::Changed(_)
        );
        if is_of_the_file && self.has_moved(&running.job) {
            warn!("{failure}; its file has changed");
            return None;
        }
        match failure {
            Failure::OutOfMemory { .. } => {
                return self.retry.record_out_of_memory(job, failure.to_string());
            }
            Failure::DiskFull(reason) if self.lacks_room(running) => {
                warn!("{reason}; waiting for room");
            }
            // Now there is space, so either it was freed or the limit can't be seen from here.
            Failure::Trouble(reason) | Failure::DiskFull(reason) => self.record_trouble(reason),
            Failure::Refused(reason) | Failure::Died(reason) if !running.job.folder.exists() => {
                let folder = running.job.folder.display();
                self.record_trouble(format!("{reason}; its folder {folder} was removed meanwhile"));
            }
            Failure::Held(reason) => {
                self.inventory.scan_now();
                self.retry.record_pause(job, reason);
            }
            Failure::Changed(reason) => {
                if let Some((path, _)) = running.job.file() {
                    self.inventory.reread(std::slice::from_ref(path));
                }
                // Until that is done.
                self.retry.record_pause(job, reason);
            }
            Failure::Died(reason) => return self.record_death(job, reason),
            Failure::Refused(_) | Failure::Unfit(_) => return Some(failure.to_string()),
        }
        None
    }

    /// Pauses all jobs until the machine may be in order again. TensorRT may be what is missing.
    pub(crate) fn record_trouble(&mut self, reason: String) {
        self.retry.record_trouble(reason);
        self.look_for_runtime(None);
    }

    /// Whether the job's checkpoint has moved or changed, which explains any failure; what is there instead
    /// is recorded, so that another file is used, if there is one.
    fn has_moved(&mut self, job: &Job) -> bool {
        let Some((path, stamp)) = job.file() else { return false };
        let asked = path.to_owned();
        // Its disk may hang, which would hold up everything: then it is no better than gone.
        let found = patiently(FILE_PATIENCE, move || Stamp::of(&asked).ok()).flatten();
        let has_moved = found.is_none_or(|found| !found.is_same_version(stamp));
        if has_moved {
            self.inventory.record_moved(path, found);
        }
        has_moved
    }

    /// Whether the disk now has too little space for this job's engine. If so, the free space is updated even
    /// if another build is running.
    fn lacks_room(&mut self, running: &RunningJob) -> bool {
        let Ok(free) = self.library.engines().free_bytes() else { return false };
        let needed = running.work.want.takes.disk_bytes;
        let lacks = room::obstacle(needed, 0, free, &self.config).is_some();
        if lacks {
            self.library.record_free();
        }
        lacks
    }

    /// Returns why it must not be repeated, once a job's worker has died often enough.
    pub(crate) fn record_death(&mut self, job: Id, reason: String) -> Option<String> {
        self.inventory.scan_now();
        self.retry.record_death(job, reason)
    }
}

fn verdict(findings: &Findings) -> &'static str {
    match &findings.proof {
        Ok(proof) if proof.holds() => "accurate",
        Ok(_) => "inaccurate",
        Err(_) => "not_compared",
    }
}

/// Classifies an error of publishing, which is not the checkpoint's fault: a read-only disk stops everything,
/// and a file in the way only this engine.
fn not_published(error: anyhow::Error) -> Failure {
    let is_in_the_way = |cause: &io::Error| {
        use io::ErrorKind::{DirectoryNotEmpty, IsADirectory, NotADirectory};
        matches!(cause.kind(), DirectoryNotEmpty | IsADirectory | NotADirectory)
    };
    if error.chain().filter_map(|cause| cause.downcast_ref()).any(is_in_the_way) {
        return Failure::Held(format!("{error:#}; move away what lies there"));
    }
    Failure::from(error)
}

/// Replies to the client that ordered a plan.
fn answer_order(mut running: RunningJob, result: Result<Done, Failure>) {
    let Task::Materialize { output } = &running.job.task else { return };
    let reply = match result {
        Ok(Done::Materialized(bytes)) => {
            Reply::Materialized(Materialized { path: text(output), bytes })
        }
        Ok(_) => Reply::Failed(other(MIXED_UP)),
        Err(failure) => Reply::Failed(other(&failure.to_string())),
    };
    if let Some(client) = running.client.take() {
        let _ = client.send(reply);
    }
}
