//! What many tests need one of.

pub(crate) use engine::samples::*;

use crate::inventory::Outcome;

/// An SD 1.x checkpoint that was read, with ids of its own.
pub(crate) fn identified(name: &str) -> Outcome {
    Outcome::Identified(identity(name))
}
