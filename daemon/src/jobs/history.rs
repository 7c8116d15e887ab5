//! What became of builds and validations.

use protocol::{Finished, Outcome};

use crate::{event_loop::Actor, jobs::RunningJob, retention::garbage::seconds_since_1970};

/// How a build or a validation ended.
pub(crate) enum Ended<'a> {
    /// With an engine of so many bytes.
    Built(u64),
    /// With findings.
    Validated,
    /// For this reason, and will not be tried again by itself.
    Failed(&'a str),
    /// For this reason, and waits for its turn again.
    Abandoned(&'a str),
}

impl Actor {
    pub(crate) fn record_ended(&mut self, running: &RunningJob, ended: Ended<'_>) {
        let (outcome, reason, bytes) = match ended {
            Ended::Built(bytes) => (Outcome::Built, None, Some(bytes)),
            Ended::Validated => (Outcome::Validated, None, None),
            Ended::Failed(reason) => (Outcome::Failed, Some(reason.to_owned()), None),
            Ended::Abandoned(reason) => (Outcome::Abandoned, Some(reason.to_owned()), None),
        };
        self.world.store.record(&Finished {
            engine: running.job.spec.key().to_string(),
            weights_id: running.work.want.weights.to_string(),
            location: running.location.clone(),
            preset: running.work.want.label(),
            outcome,
            reason,
            seconds: running.work.started.elapsed().as_secs(),
            bytes,
            ended_at: seconds_since_1970(),
        });
        self.learned();
    }
}
