//! What waits since something failed that is not its own fault.

use std::{collections::HashSet, time::Duration};

use checkpoint::Id;

use super::{Obstacle, Snapshot, Want};

/// How long something is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// What failed, for people to read.
    pub(crate) reason: String,
    /// For so long; zero if it may be tried now.
    pub(crate) left: Duration,
}

impl Snapshot<'_> {
    /// Why a job is not tried for now: of trouble that the machine has, or that this job had.
    pub(crate) fn paused_by(&self, job: &Id) -> Option<Obstacle> {
        let is_on = |pause: &&Pause| !pause.left.is_zero();
        let machine = self.trouble.as_ref().filter(is_on);
        let own = || self.pauses.get(job).filter(is_on);
        let own = || own().map(|pause| Obstacle::Failed(pause.reason.clone()));
        machine.map(|pause| Obstacle::Trouble(pause.reason.clone())).or_else(own)
    }

    /// Puts what failed before behind all else, so that others get their turn.
    pub(super) fn put_last(&self, queue: &mut [Want]) {
        queue.sort_by_key(|want| {
            self.pauses.contains_key(&want.job) && !self.urgent.contains(&want.engine)
        });
    }

    /// Whether a job may be done beside what is under way: one that sdtrtd ended with is done alone, so that no
    /// other is blamed for it.
    pub(super) fn may_join(&self, job: &Id) -> bool {
        let is_deadly = |job: &Id| self.deadly.contains(job);
        self.work.is_empty()
            || !is_deadly(job) && !self.work.iter().any(|work| is_deadly(&work.want.job))
    }
}

/// The jobs that an earlier life of sdtrtd ended with.
pub(crate) type Deadly = HashSet<Id>;
