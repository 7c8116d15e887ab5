//! From a missing engine to a published one.

use std::path::PathBuf;

use anyhow::{Context, Result};
use checkpoint::Id;
use protocol::Event;
use tempfile::TempDir;
use tokio::{task::AbortHandle, time::Instant};
use tracing::{info, warn};

use super::{
    actor::Actor, housekeeping::seconds_since_1970, messages::Message, past::Ended, view,
    world::Build,
};
use crate::{
    build::{Built, Failure, Job, Manifest, Phase, Progress, Task, Wanted},
    schedule::{Identity, Setback, Want},
    watch::Stamp,
};

/// A worker that dies this often without a word is not started again by itself.
const DEATHS: u32 = 3;

/// A build under way.
pub(super) struct Running {
    pub(super) job: Job,
    pub(super) presets: Vec<String>,
    pub(super) weights: Id,
    pub(super) started: Instant,
    task: AbortHandle,
    /// The job's folder; goes with it.
    _scratch: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Actor {
    /// Starts building, or notes why that can't be.
    pub(super) fn start_build(
        &mut self,
        want: &Want,
        wanted: Wanted,
        identity: &Identity,
        path: PathBuf,
    ) {
        let Ok(target) = &self.world.target else { return };
        let libraries = target.runtime.libraries.clone();
        match self.try_start(libraries, want, wanted, identity, path) {
            Ok(running) => {
                let progress = Progress { phase: Phase::Graph, percent: 0 };
                let presets = running.presets.clone();
                self.world.build = Some(Build {
                    engine: want.engine,
                    weights: want.weights,
                    presets,
                    progress,
                    started: running.started,
                });
                self.running = Some(running);
                self.tell_building();
            }
            Err(error) => {
                let reason = format!("{error:#}");
                warn!(engine = %want.engine.short(), "{reason}");
                self.world.set_back(want.engine, Some(Setback::Failed(reason)));
                self.learned();
                self.refresh_soon();
            }
        }
    }

    fn try_start(
        &mut self,
        libraries: Option<PathBuf>,
        want: &Want,
        wanted: Wanted,
        identity: &Identity,
        checkpoint: PathBuf,
    ) -> Result<Running> {
        self.make_room(identity, &wanted.spec.weights)?;
        let location = self.world.catalogue.locations().get(&*checkpoint);
        let stamp = location.map(|location| location.stamp).context("the checkpoint is gone")?;
        let scratch =
            self.world.library.scratch().context("cannot make a folder to build the engine in")?;
        info!(engine = %want.engine.short(), "building for {}", checkpoint.display());
        let job = Job {
            task: Task::Build,
            spec: wanted.spec,
            checkpoint,
            stamp,
            libraries,
            folder: scratch.path().to_owned(),
            gpu: None,
        };
        let (engine, mailbox) = (want.engine, self.mailbox.clone());
        let hear = {
            let mailbox = mailbox.clone();
            Box::new(move |progress| mailbox.send(Message::Progress(engine, progress)))
        };
        let building = self.builder.build(job.clone(), hear);
        let task =
            tokio::spawn(async move { mailbox.send(Message::Built(engine, building.await)) });
        Ok(Running {
            job,
            presets: wanted.presets,
            weights: want.weights,
            started: Instant::now(),
            task: task.abort_handle(),
            _scratch: scratch,
        })
    }

    pub(super) fn progress(&mut self, engine: Id, progress: Progress) {
        let Some(build) = self.world.build.as_mut().filter(|build| build.engine == engine) else {
            return;
        };
        if build.progress != progress {
            build.progress = progress;
            self.tell_building();
        }
    }

    fn tell_building(&mut self) {
        self.show_manager();
        self.tell(&Event::Building(self.world.build.as_ref().map(view::building)));
    }

    /// Ends the build under way and its worker. Its engine waits for its turn again.
    pub(super) fn abandon_build(&mut self, why: &str) {
        if let Some(running) = self.running.take() {
            self.record(&running, Ended::Abandoned(why));
        }
        self.world.build = None;
        self.tell_building();
    }

    /// Takes in how the build of `engine` ended.
    pub(super) fn built(&mut self, engine: Id, result: Result<Built, Failure>) {
        let Some(running) = self.running.take_if(|running| running.job.spec.key() == engine) else {
            return;
        };
        self.progress(engine, Progress { phase: Phase::Publish, percent: 0 });
        let is_built = result.is_ok();
        let failure = match result {
            Ok(built) => match self.publish(&running, built) {
                Ok(()) => {
                    self.record(&running, Ended::Built(built.bytes));
                    None
                }
                Err(error) => Some(format!("{error:#}")),
            },
            Err(Failure::Refused(reason)) if !moved(&running.job) => Some(reason),
            Err(failure @ Failure::Unshareable(_)) => {
                warn!("{failure}; checkpoints of this architecture get engines of their own");
                self.record(&running, Ended::Abandoned(&failure.to_string()));
                self.world.unshareable.insert(*running.job.spec.weights.id());
                None
            }
            Err(Failure::Refused(reason) | Failure::Died(reason)) => {
                let failure = self.died(engine, reason.clone());
                if failure.is_none() {
                    self.record(&running, Ended::Abandoned(&reason));
                }
                failure
            }
        };
        let outcome = match &failure {
            Some(_) => "failed",
            None if is_built => "published",
            None => "again",
        };
        self.metrics.build_ended(outcome, running.started.elapsed());
        self.world.build = None;
        self.tell_building();
        if let Some(reason) = failure {
            warn!(engine = %engine.short(), "{reason}");
            self.record(&running, Ended::Failed(&reason));
            self.world.set_back(engine, Some(Setback::Failed(reason)));
            self.world.asked_no_more(&engine);
            self.learned();
        }
        self.refresh();
    }

    fn publish(&mut self, running: &Running, built: Built) -> Result<()> {
        let spec = running.job.spec.clone();
        let key = spec.key();
        let seconds = running.started.elapsed().as_secs_f64();
        self.world.library.publish(
            &running.job,
            Manifest::new(
                spec,
                running.presets.clone(),
                running.weights,
                built,
                seconds_since_1970(),
                seconds,
            ),
        )?;
        self.world.forget_proofs(&key);
        self.world.asked_no_more(&key);
        self.world.deaths.remove(&key);
        self.remove_outdated();
        info!(engine = %key.short(), bytes = built.bytes, seconds, "engine published");
        Ok(())
    }

    /// The reason not to try again, once it has died often enough.
    fn died(&mut self, engine: Id, reason: String) -> Option<String> {
        self.scan_now();
        let deaths = self.world.deaths.entry(engine).or_default();
        *deaths += 1;
        if *deaths < DEATHS {
            warn!(engine = %engine.short(), "{reason}; trying again");
            return None;
        }
        Some(format!("{reason}; this happened {deaths} times"))
    }
}

/// Whether the checkpoint is no longer where or what it was, which explains any failure.
fn moved(job: &Job) -> bool {
    Stamp::of(&job.checkpoint).ok() != Some(job.stamp)
}
