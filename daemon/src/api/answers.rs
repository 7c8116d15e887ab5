//! What clients are told once what they asked for was done.

use checkpoint::Id;
use protocol::{Failure, Garbage, Reply};
use tokio::sync::oneshot;

use super::requests::other;
use crate::event_loop::Actor;

/// A client that is answered after the next step.
pub(crate) struct Asked {
    pub(crate) about: About,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What it is told.
pub(crate) enum About {
    /// How the daemon is.
    Status,
    /// How a checkpoint is, by its key.
    Checkpoint(String),
    /// Whether this engine went.
    Removed(Id),
    /// What went because nobody needs it.
    Garbage,
}

impl Actor {
    pub(crate) fn answer(&mut self, garbage: Vec<Garbage>) {
        for Asked { about, reply } in std::mem::take(&mut self.asked) {
            let _ = reply.send(self.answer_to(about, &garbage).unwrap_or_else(Reply::Failed));
        }
    }

    fn answer_to(&self, about: About, garbage: &[Garbage]) -> Result<Reply, Failure> {
        match about {
            About::Status => Ok(Reply::Status(Box::new(self.status()))),
            About::Checkpoint(key) => self.entry(&key).map(Reply::Checkpoint),
            About::Removed(engine) => match self.world.stuck.get(&engine) {
                Some(problem) => Err(other(problem)),
                None => Ok(Reply::Removed(engine.to_string())),
            },
            About::Garbage => match self.world.stuck.values().next() {
                Some(problem) => Err(other(problem)),
                None => Ok(Reply::Garbage(garbage.to_vec())),
            },
        }
    }
}
