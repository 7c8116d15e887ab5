use checkpoint::Identity;
use serde::{Deserialize, Serialize};

/// How reading a file ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A checkpoint that engines can be built for.
    Identified(Identity),
    /// Not one, and why. The same bytes will be no better the next time.
    Rejected(String),
    /// It could not be read, and why. The next time it may be.
    Unreadable(String),
}

impl Outcome {
    /// Whether no more than the header of a checkpoint was read, so that it has provisional ids.
    pub fn is_provisional(&self) -> bool {
        matches!(self, Self::Identified(identity) if identity.ids.are_provisional())
    }
}
