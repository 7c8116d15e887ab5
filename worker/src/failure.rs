//! What a job that could not be done is reported as.

use checkpoint::Rejection;
use engine::{Report, Task, is_disk_full, is_trouble};
use thiserror::Error;

use super::{
    cuda::{Cuda, OutOfMemory},
    weights::Unfit,
};

/// No job will do better until this is mended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

/// This job alone may do better later.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Held(pub(super) String);

/// The file is not what was identified.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Changed(pub(super) String);

impl Changed {
    /// Size and times are the same, and what is in it is not.
    pub(super) fn weights() -> Self {
        Self("the file's weights are no longer those that were identified".to_owned())
    }
}

/// What the daemon is told.
pub(super) fn report(task: &Task, error: &anyhow::Error) -> Report {
    let why = format!("{error:#}");
    if let Some(OutOfMemory { needed, .. }) = error.downcast_ref() {
        // What the job held is free again, so that this is what it had.
        return match (task, Cuda::new()) {
            (Task::Validate(_), Ok(cuda)) => {
                Report::OutOfMemory { needed: *needed, free: cuda.free() }
            }
            // Builds take the machine's memory.
            _ => Report::Held(why),
        };
    }
    kind(error)(why)
}

fn kind(error: &anyhow::Error) -> fn(String) -> Report {
    match error.downcast_ref() {
        Some(Rejection::ChangedWhileRead | Rejection::NotAFile) => return Report::Changed,
        Some(Rejection::Unreadable { .. }) => return Report::Held,
        _ => {}
    }
    if error.is::<Unfit>() {
        Report::Unfit
    } else if error.is::<Changed>() {
        Report::Changed
    } else if error.is::<Held>() {
        Report::Held
    } else if is_disk_full(error) {
        Report::DiskFull
    } else if error.is::<Trouble>() || is_trouble(error) {
        Report::Trouble
    } else {
        Report::Failed
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_what_is_wrong_with_the_checkpoint_is_a_failure() {
        let io = |kind| anyhow!(io::Error::from(kind)).context("cannot write the graph");
        let unreadable = Rejection::Unreadable { doing: "read it", source: io::Error::other("") };
        for (error, expected) in [
            (anyhow!("TensorRT does not take the graph"), "failed"),
            (anyhow!(Rejection::NoUnet), "failed"),
            (io(io::ErrorKind::StorageFull), "diskfull"),
            (io(io::ErrorKind::ReadOnlyFilesystem), "trouble"),
            (io(io::ErrorKind::NotFound), "trouble"),
            (anyhow!(Trouble("cannot load TensorRT".into())).context("a"), "trouble"),
            (anyhow!(Rejection::ChangedWhileRead).context("a"), "changed"),
            (anyhow!(Changed("other weights".into())), "changed"),
            (anyhow!(unreadable).context("/m/a"), "held"),
            (anyhow!(Held("no CUDA".into())), "held"),
            (anyhow!(OutOfMemory { needed: None, said: "".into() }), "held"),
        ] {
            let shown = format!("{error:#}");
            let report = serde_json::to_value(report(&Task::Build, &error)).unwrap();
            assert!(report.get(expected).is_some(), "{shown}: {report}");
        }
    }
}
