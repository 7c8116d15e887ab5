//! Sample values for tests.

pub(crate) use engine::samples::*;

use std::fs;

use checkpoint::FileSystem;
use engine::{Job, Weights};

use crate::{
    inventory::{Known, Outcome, Stamp},
    jobs::Done,
};

/// An SD 1.x checkpoint that was read, with its own ids.
pub(crate) fn identified(name: &str) -> Outcome {
    Outcome::Identified(identity(name).into())
}

/// The same with only the header read.
pub(crate) fn provisional(file: &Stamp) -> Outcome {
    let ids = checkpoint::Ids::provisional(file);
    Outcome::Identified(checkpoint::Identity { ids, ..identity("header") }.into())
}

/// Writes a plan in place of a worker.
pub(crate) fn leave_plan(job: &Job) -> Done {
    fs::write(job.plan(), "plan").unwrap();
    Done::Built(match job.spec.weights {
        Weights::Baked(unet) => baked(b"plan", unet),
        Weights::Shared(_) => built(b"plan"),
    })
}

/// A file on a disk that keeps its promises.
pub(crate) fn stamp(inode: u64, mtime_ns: i128) -> Stamp {
    let file_system = FileSystem { kind: 0xef53, id: 1, has_driver: true };
    Stamp { device: 1, inode, size: 100, mtime_ns, file_system, ..Stamp::default() }
}

/// What is known of a file like that once it was read.
pub(crate) fn known(stamp: &Stamp, outcome: Outcome) -> Known {
    Known { outcome, changed_ns: stamp.changed_ns, excerpt: None, is_compared: false }
}
