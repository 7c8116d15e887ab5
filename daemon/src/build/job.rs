//! What the daemon and a worker say to each other: one [`Job`] on the worker's standard input, then
//! [`Report`]s on its standard output, each a line of JSON. The input stays open for as long as the
//! daemon wants the job: when it closes, by whatever end the daemon came to, the worker stops.

use std::{fmt, path::PathBuf};

use checkpoint::Id;
use serde::{Deserialize, Serialize};

use super::EngineSpec;
use crate::watch::Stamp;

/// One engine to build.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The engine.
    pub spec: EngineSpec,
    /// A file with its weights.
    pub checkpoint: PathBuf,
    /// That file as it was when its ids were learned.
    pub stamp: Stamp,
    /// The folder of the TensorRT libraries; the loader's own path when absent.
    pub libraries: Option<PathBuf>,
    /// An empty folder for this job alone, on the disk where the engine will lie.
    pub folder: PathBuf,
}

impl Job {
    /// Where the worker leaves the plan.
    pub fn plan(&self) -> PathBuf {
        self.folder.join("engine")
    }

    /// Where it leaves the graph's constants, which whoever refits a shared engine needs beside the
    /// checkpoint: a safetensors file.
    pub fn constants(&self) -> PathBuf {
        self.folder.join("constants")
    }
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Making the graph.
    Graph,
    /// Handing it to TensorRT.
    Parse,
    /// TensorRT builds.
    Build,
    /// Writing the plan.
    Write,
    /// Putting it where engines are kept.
    Publish,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graph => "graph",
            Self::Parse => "parse",
            Self::Build => "build",
            Self::Write => "write",
            Self::Publish => "publish",
        })
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Of this phase, 0 to 100.
    pub percent: u8,
}

/// A plan that was written and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Size of the plan.
    pub bytes: u64,
    /// BLAKE3 of the plan.
    pub blake3: Id,
    /// Greatest memory that the worker held, in bytes.
    pub peak_bytes: u64,
}

/// A line from the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// It goes on.
    Progress(Progress),
    /// It is done; the last line.
    Built(Built),
    /// It can't be done, and why; the last line.
    Failed(String),
    /// TensorRT does not let these weights be replaced, so the engine can't be shared; the last line.
    Unshareable(Vec<String>),
}
