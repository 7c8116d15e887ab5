//! What many tests need one of.

pub(crate) use engine::samples::*;

use std::fs;

use engine::{Job, Weights};

use crate::{
    inventory::{Outcome, Stamp},
    jobs::Done,
};

/// An SD 1.x checkpoint that was read, with ids of its own.
pub(crate) fn identified(name: &str) -> Outcome {
    Outcome::Identified(identity(name))
}

/// The same of which no more than the header was read.
pub(crate) fn provisional(file: &Stamp) -> Outcome {
    let ids = checkpoint::Ids::provisional(file);
    Outcome::Identified(checkpoint::Identity { ids, ..identity("header") })
}

/// Leaves the plan that a worker would.
pub(crate) fn leave_plan(job: &Job) -> Done {
    fs::write(job.plan(), "plan").unwrap();
    Done::Built(match job.spec.weights {
        Weights::Baked(unet) => baked(b"plan", unet),
        Weights::Shared(_) => built(b"plan"),
    })
}
