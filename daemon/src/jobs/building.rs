//! From a missing engine to a published one.

use anyhow::Result;
use engine::{Built, Manifest};
use tracing::{info, warn};

use crate::{
    build::{Done, Failure},
    event_loop::Actor,
    jobs::{RunningJob, history::Ended, running::MIXED_UP},
    retention::garbage::seconds_since_1970,
};

impl Actor {
    /// Takes in how a build ended.
    pub(crate) fn built(&mut self, running: &RunningJob, result: Result<Done, Failure>) {
        let engine = running.work.want.engine;
        let result = match result {
            Ok(Done::Built(built)) => {
                let bytes = built.bytes;
                self.take_in_plan(running, built).map(|()| bytes).map_err(Failure::from)
            }
            Ok(_) => Err(Failure::Refused(MIXED_UP.to_owned())),
            Err(failure) => Err(failure),
        };
        let is_built = result.is_ok();
        let failure = match result {
            Ok(bytes) => {
                self.record_ended(running, Ended::Built(bytes));
                None
            }
            Err(failure) => {
                let reason = failure.to_string();
                let failure = self.final_reason(running, failure);
                if failure.is_none() {
                    self.record_ended(running, Ended::Abandoned(&reason));
                }
                failure
            }
        };
        let outcome = match &failure {
            Some(_) => "failed",
            None if is_built => "published",
            None => "again",
        };
        self.metrics.build_ended(outcome, running.work.started.elapsed());
        if let Some(reason) = failure {
            warn!(engine = %engine.short(), "{reason}");
            self.record_ended(running, Ended::Failed(&reason));
            self.world.retry.record_failure(engine, reason);
            self.world.intent.record_served(&engine);
            self.learned();
        }
    }

    fn take_in_plan(&mut self, running: &RunningJob, built: Built) -> Result<()> {
        let spec = running.job.spec.clone();
        let (key, bytes) = (spec.key(), built.bytes);
        let seconds = running.work.started.elapsed().as_secs_f64();
        self.world.library.publish(
            &running.job,
            Manifest::new(
                spec,
                running.work.want.presets.clone(),
                running.work.want.weights,
                built,
                seconds_since_1970(),
                seconds,
            ),
        )?;
        self.world.forget_proofs(&key);
        self.world.forget_failures(&key);
        self.serves(&key);
        info!(engine = %key.short(), bytes, seconds, "engine published");
        Ok(())
    }
}
