//! What waits because something else failed.

use std::{collections::HashSet, time::Duration};

use checkpoint::Id;

use super::{Obstacle, Snapshot, Want};

/// How long something is not retried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// What failed, in words.
    pub(crate) reason: String,
    /// The remaining time; zero if it may be tried now.
    pub(crate) left: Duration,
}

impl Snapshot<'_> {
    /// Returns why a job is not tried at present: a problem of the machine, or one of this job.
    pub(crate) fn paused_by(&self, job: &Id) -> Option<Obstacle> {
        let is_on = |pause: &&Pause| !pause.left.is_zero();
        let machine = self.trouble.as_ref().filter(is_on);
        let own = || self.pauses.get(job).filter(is_on);
        let own = || own().map(|pause| Obstacle::Failed(pause.reason.clone()));
        machine.map(|pause| Obstacle::Trouble(pause.reason.clone())).or_else(own)
    }

    /// Moves what failed before to the end, so that others get their turn.
    pub(super) fn put_last(&self, queue: &mut [Want]) {
        queue.sort_by_key(|want| {
            self.pauses.contains_key(&want.job) && !self.urgent.contains(&want.engine)
        });
    }

    /// Whether a job may run beside others: one during which sdtrtd ended runs alone, so that no other is
    /// blamed.
    pub(super) fn may_join(&self, job: &Id) -> bool {
        let is_deadly = |job: &Id| self.deadly.contains(job);
        self.work.is_empty()
            || !is_deadly(job) && !self.work.iter().any(|work| is_deadly(&work.want.job))
    }
}

/// The jobs during which an earlier run of sdtrtd ended.
pub(crate) type Deadly = HashSet<Id>;
