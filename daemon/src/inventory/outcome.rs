use std::sync::Arc;

use checkpoint::Identity;
use serde::{Deserialize, Serialize};

/// The result of reading a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is a checkpoint that engines can be built for.
    Identified(Arc<Identity>),
    /// It is not, and why. The same bytes will be rejected again.
    Rejected(String),
    /// It could not be read, and why. That may change.
    Unreadable(String),
}

impl Outcome {
    /// Whether only a checkpoint's header was read, so that it has placeholder ids.
    pub fn is_provisional(&self) -> bool {
        matches!(self, Self::Identified(identity) if identity.ids.are_provisional())
    }
}
