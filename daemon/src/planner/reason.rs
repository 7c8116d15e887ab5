//! Why jobs are needed, wait and end, and why engines are removed: each case with its data, and its text.

use std::{fmt, path::PathBuf};

use checkpoint::Id;
use config::ByteSize;
use engine::Removal;
use protocol::EntryKey;

use super::{Closed, NoRuntime, ValidationCause};
use crate::gate;

/// Why a job is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The user requested it.
    Requested,
    /// The engine is missing.
    Missing,
    /// The existing engine has another recipe, version or preset: what has changed, in words.
    Outdated(String),
    /// An engine is to be validated.
    Validation(ValidationCause),
}

/// Why one job can't start while others may. All figures are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The quota lacks this much even if everything evictable is removed.
    Quota { quota: ByteSize, lacking: u64, needed: u64 },
    /// The engines' disk is too full.
    Disk { data_dir: PathBuf, free: u64, needed: u64, min_free: u64 },
    /// The free space is unknown: the system's error.
    UnknownDisk(String),
    /// The machine has too little memory besides what running jobs may still take.
    Memory { needed: u64, running: u64, free: u64 },
    /// A GPU has too little memory. `gpu` is its index.
    GpuMemory { gpu: usize, needed: u64, free: u64 },
    /// A GPU can't be used, and why.
    Lost { gpu: usize, why: String },
    /// The checkpoint's content, which goes into the engine, is not known yet.
    Unhashed,
    /// The job has just run out of a GPU's memory.
    RanOut { gpu: usize },
    /// The job ran out of a GPU's memory before, and others compute there: who, in words.
    Shared { gpu: usize, users: Vec<String> },
    /// Something is wrong with the machine: what, in words.
    Trouble(String),
    /// This job failed for a temporary reason: what, in words.
    Failed(String),
}

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wait<'a> {
    Obstacle(&'a Obstacle),
    /// Its slot's gate is closed.
    Closed(Closed<'a>),
    /// Its slot is doing a job for this checkpoint.
    After(EntryKey),
    /// Nothing.
    Next,
    /// This many other jobs.
    Turn(usize),
}

/// Why a running job is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Paused,
    /// The machine draws from a battery.
    Battery,
    Busy(gate::GateReason),
    /// The configuration has changed.
    Unwanted,
}

/// Why an ordered plan is not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No file has the checkpoint's weights any more.
    Gone,
    NoRuntime(NoRuntime),
}

/// Why an engine is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grounds {
    Requested,
    Damaged,
    /// This engine replaces it.
    Superseded(Id),
    /// No file has had its content for this many days.
    Orphaned(u64),
    OverQuota,
}

impl Obstacle {
    /// Whether it lacks only memory of the machine or of a GPU, or a GPU itself.
    pub(crate) fn is_of_memory(&self) -> bool {
        matches!(
            self,
            Self::Memory { .. }
                | Self::GpuMemory { .. }
                | Self::Lost { .. }
                | Self::RanOut { .. }
                | Self::Shared { .. }
        )
    }

    /// Whether it remains until the user does something about it.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Quota { .. } | Self::Disk { .. } | Self::UnknownDisk(_))
    }

    /// Whether it was found by failing, so that only a retry shows whether it persists.
    pub(crate) fn is_trouble(&self) -> bool {
        matches!(self, Self::Trouble(_) | Self::Failed(_))
    }
}

impl Grounds {
    /// The library's reason for the removal.
    pub(crate) fn removal(self) -> Removal {
        match self {
            Self::Requested => Removal::Asked,
            Self::Damaged => Removal::Damaged,
            Self::Superseded(_) => Removal::Superseded,
            Self::Orphaned(_) => Removal::Orphaned,
            Self::OverQuota => Removal::OverQuota,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("asked for"),
            Self::Missing => f.write_str("no engine yet"),
            Self::Outdated(changes) => f.write_str(changes),
            Self::Validation(due) => due.fmt(f),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &u64| ByteSize::b(*bytes).display().si();
        match self {
            Self::Unhashed => {
                f.write_str("its content is still being read, which goes into the engine")
            }
            Self::Quota { quota, lacking, needed } => write!(
                f,
                "waits for disk space: the quota of {} is {} short for an engine of up to {}, and every other \
                 engine is pinned or in use; raise `quota`, or `sdtrtctl unpin` or `remove` one",
                quota.display().si(),
                size(lacking),
                size(needed),
            ),
            Self::Disk { data_dir, free, needed, min_free } => write!(
                f,
                "waits for disk space: {} has {} free, the engine takes up to {}, and {} must stay free \
                 (`min_free`); `sdtrtctl disk` shows what uses the space",
                data_dir.display(),
                size(free),
                size(needed),
                size(min_free),
            ),
            Self::UnknownDisk(error) => f.write_str(error),
            Self::Memory { needed, running, free } => write!(
                f,
                "waits for memory: up to {} needed besides the {} of running jobs, {} free",
                size(needed),
                size(running),
                size(free)
            ),
            Self::GpuMemory { gpu, needed, free } => write!(
                f,
                "waits for memory of GPU {gpu}: about {} needed, {} free",
                size(needed),
                size(free)
            ),
            Self::Lost { gpu, why } => write!(f, "waits until GPU {gpu} is back: {why}"),
            Self::RanOut { gpu } => {
                write!(f, "GPU {gpu}'s memory has run out; tried once more in a minute")
            }
            Self::Shared { gpu, users } => write!(
                f,
                "waits to be alone on GPU {gpu}, whose memory has run out: used by {}",
                users.join(", ")
            ),
            Self::Trouble(why) => write!(f, "waits until this has passed: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::Closed(closed) => f.write_str(&closed.awaited()),
            Self::After(key) => write!(f, "next, after {}", key.short()),
            Self::Next => f.write_str("next"),
            Self::Turn(others) => write!(f, "{others} more before it"),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("paused"),
            Self::Battery => f.write_str("the machine draws from a battery"),
            Self::Busy(reason) => reason.fmt(f),
            Self::Unwanted => f.write_str("the configuration no longer wants it"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the checkpoint is gone"),
            Self::NoRuntime(problem) => problem.fmt(f),
        }
    }
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("its removal was requested"),
            Self::Damaged => f.write_str("its plan is damaged"),
            Self::Superseded(by) => write!(f, "outdated, and {} is there", by.short()),
            Self::Orphaned(days) => write!(f, "no file has had its content for {days} days"),
            Self::OverQuota => f.write_str("over the quota"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_its_text() {
        let weights = Id::from([0xab; 32]);
        let full = Obstacle::UnknownDisk("no such disk".to_owned());
        for (wait, text) in [
            (Wait::Obstacle(&full), "no such disk"),
            (
                Wait::Closed(Closed::Paused(crate::planner::Paused::default())),
                "waits for `sdtrtctl resume`",
            ),
            (Wait::After(weights.into()), "next, after abababababab"),
            (Wait::Next, "next"),
            (Wait::Turn(2), "2 more before it"),
        ] {
            assert_eq!(wait.to_string(), text);
        }
    }

    #[test]
    fn what_a_person_must_mend_lasts() {
        let gpu = 0;
        for (obstacle, is_lasting) in [
            (Obstacle::Quota { quota: ByteSize::gb(1), lacking: 1, needed: 1 }, true),
            (Obstacle::Disk { data_dir: "/d".into(), free: 0, needed: 1, min_free: 1 }, true),
            (Obstacle::UnknownDisk(String::new()), true),
            (Obstacle::Memory { needed: 2, running: 1, free: 1 }, false),
            (Obstacle::GpuMemory { gpu, needed: 2, free: 1 }, false),
            (Obstacle::Lost { gpu, why: String::new() }, false),
            (Obstacle::RanOut { gpu }, false),
            (Obstacle::Shared { gpu, users: Vec::new() }, false),
        ] {
            assert_eq!(obstacle.is_lasting(), is_lasting, "{obstacle:?}");
        }
    }
}
