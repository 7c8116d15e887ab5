use serde::{Deserialize, Serialize};

/// Why a missing engine is not built until it is requested or its checkpoint changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setback {
    /// Building it failed, with this reason.
    Failed(String),
    /// The user removed it.
    Removed,
}
