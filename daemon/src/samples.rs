//! What many tests need one of.

pub(crate) use engine::samples::*;

use crate::inventory::{Outcome, Stamp};

/// An SD 1.x checkpoint that was read, with ids of its own.
pub(crate) fn identified(name: &str) -> Outcome {
    Outcome::Identified(identity(name))
}

/// The same of which no more than the header was read.
pub(crate) fn provisional(file: &Stamp) -> Outcome {
    let ids = checkpoint::Ids::provisional(file);
    Outcome::Identified(checkpoint::Identity { ids, ..identity("header") })
}
