//! A job's result, or why there is none.

use config::ByteSize;
use engine::{Built, Findings, Report, Validation, is_disk_full, is_trouble};
use thiserror::Error;

use super::worker::WorkerProblem;

/// What a job came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// The plan is in the job's folder.
    Built(Built),
    /// The plan is in the job's folder, since another machine has built it.
    Fetched(Box<Fetched>),
    /// The engine was run.
    Validated(Findings),
    /// The plan with weights inside is where it was wanted, and has so many bytes.
    Materialized(u64),
}

/// An engine that another machine has built: its plan lies where the job's worker would have written it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// The plan.
    pub built: Built,
    /// What was found of it on the GPU models and drivers of this machine.
    pub validations: Vec<Validation>,
}

/// Why a job was not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The same job would fail again.
    #[error("{0}")]
    Refused(String),
    /// Engines can't compute with this checkpoint's weights; another's may do.
    #[error("{0}")]
    Unfit(String),
    /// The disk had no room for it; it will do once there is.
    #[error("{0}")]
    DiskFull(String),
    /// Something is wrong with the machine: no job will succeed until it is fixed.
    #[error("{0}")]
    Trouble(String),
    /// Something temporary prevents only this job.
    #[error("{0}")]
    Held(String),
    /// The file is no longer the one that was identified.
    #[error("{0}")]
    Changed(String),
    /// The worker ended without a word, as when something killed it; it may do better next time.
    #[error("{0}")]
    Died(String),
    /// The GPU has too little free memory; that may change.
    #[error("{}", out_of_memory(*.needed, *.free))]
    OutOfMemory {
        /// Bytes that it takes at least, where that is known.
        needed: Option<u64>,
        /// Bytes that it could have had.
        free: u64,
    },
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let reason = format!("{error:#}");
        match error {
            error if is_disk_full(&error) => Self::DiskFull(reason),
            error if is_trouble(&error) => Self::Trouble(reason),
            _ => Self::Refused(reason),
        }
    }
}

impl From<WorkerProblem> for Failure {
    fn from(problem: WorkerProblem) -> Self {
        Self::Trouble(problem.to_string())
    }
}

impl TryFrom<Report> for Done {
    type Error = Failure;

    /// Converts a worker's last report.
    fn try_from(last: Report) -> Result<Self, Failure> {
        Err(match last {
            Report::Built(built) => return Ok(Self::Built(built)),
            Report::Validated(findings) => return Ok(Self::Validated(findings)),
            Report::Materialized(bytes) => return Ok(Self::Materialized(bytes)),
            Report::Failed(reason) => Failure::Refused(brief(&reason)),
            Report::Unfit(reason) => Failure::Unfit(brief(&reason)),
            Report::DiskFull(reason) => Failure::DiskFull(brief(&reason)),
            Report::Trouble(reason) => Failure::Trouble(brief(&reason)),
            Report::Held(reason) => Failure::Held(brief(&reason)),
            Report::Changed(reason) => Failure::Changed(brief(&reason)),
            Report::OutOfMemory { needed, free } => Failure::OutOfMemory { needed, free },
            Report::Progress(_) => Failure::Died("the worker told no end".to_owned()),
        })
    }
}

/// Shortens a reason for display and storage: it may quote a file.
fn brief(reason: &str) -> String {
    const CHARACTERS: usize = 2000;
    match reason.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn out_of_memory(needed: Option<u64>, free: u64) -> String {
    let size = |bytes| ByteSize::b(bytes).display().si();
    match needed.filter(|needed| *needed > free) {
        Some(needed) => {
            format!("not enough GPU memory: {} needed, {} free", size(needed), size(free))
        }
        None => format!("not enough GPU memory: {} free, and more needed", size(free)),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let io = |kind| Err::<(), _>(io::Error::from(kind)).context("cannot write the plan");
        for (error, is_full, is_trouble) in [
            (io(io::ErrorKind::StorageFull).context("not built"), true, false),
            (io(io::ErrorKind::QuotaExceeded), true, false),
            (io(io::ErrorKind::PermissionDenied), false, true),
            (io(io::ErrorKind::ReadOnlyFilesystem), false, true),
            (Err(anyhow!("TensorRT refused the graph")), false, false),
        ] {
            let failure = Failure::from(error.unwrap_err());
            assert_eq!(matches!(failure, Failure::DiskFull(_)), is_full, "{failure}");
            assert_eq!(matches!(failure, Failure::Trouble(_)), is_trouble, "{failure}");
        }
    }

    #[test]
    fn the_figure_that_was_lacking_is_told() {
        for (needed, said) in [
            (Some(5_300_000_000), "5.3 GB needed, 3.0 GB free"),
            (None, "3.0 GB free, and more needed"),
            (Some(2), "3.0 GB free, and more needed"),
        ] {
            let failure = Failure::OutOfMemory { needed, free: 3_000_000_000 };
            assert_eq!(failure.to_string(), format!("not enough GPU memory: {said}"));
        }
    }
}
