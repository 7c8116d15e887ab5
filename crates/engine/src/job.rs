//! What the daemon and a worker say to each other: the worker's [`crate::Hello`] on its standard output, one
//! [`Job`] on its standard input, then [`Report`]s on its standard output, each a line of JSON. The input stays open for as long as the
//! daemon wants the job: when it closes, by whatever end the daemon came to, the worker stops.

use std::{fmt, path::PathBuf};

use checkpoint::{Id, Stamp};
use serde::{Deserialize, Serialize};
use unet::Binding;

use crate::{Accumulation, EngineSpec, Findings};

/// One thing to do with one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// The engine.
    pub spec: EngineSpec,
    /// What it is made of, or run with.
    pub source: Source,
    /// The folder of the TensorRT libraries; the loader's own path when absent.
    pub libraries: Option<PathBuf>,
    /// An empty folder for this job alone, on the disk where the engine will lie.
    pub folder: PathBuf,
    /// The UUID of the GPU to use; CUDA's first one when absent.
    pub gpu: Option<String>,
}

/// What is known of a UNet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Names and shapes, which is all that a shared engine is built from.
    Signature {
        /// The UNet's tensors, by the names that they have in a checkpoint.
        parameters: Vec<Parameter>,
    },
    /// A file with its weights.
    Checkpoint {
        /// Where it lies.
        path: PathBuf,
        /// The file as it was when its ids were learned.
        stamp: Stamp,
    },
}

/// A tensor without its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// As in a checkpoint, the UNet's prefix included.
    pub name: String,
    /// The size of each dimension.
    pub shape: Vec<u64>,
}

/// What a worker can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Build the engine's plan, and leave it in the job's folder.
    Build,
    /// Run a published engine on the GPU: whether it computes what the checkpoint says, and how fast.
    Validate(Published),
    /// Build a baked engine's plan, and leave it at `output`, where nothing may be yet.
    Materialize {
        /// The plan to write.
        output: PathBuf,
    },
}

/// Where a published engine's files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The plan.
    pub plan: PathBuf,
    /// TensorRT's runtime cache: the kernels that were compiled for GPUs of this model, with this driver. It
    /// may not be there yet.
    pub kernels: PathBuf,
    /// ONNX Runtime's library, which computes what the engine is compared with; the loader's own one
    /// when absent.
    pub onnx_runtime: Option<PathBuf>,
}

impl Job {
    /// Where the worker leaves the plan.
    pub fn plan(&self) -> PathBuf {
        self.folder.join("engine")
    }

    /// The file that it reads, if it reads one.
    pub fn file(&self) -> Option<(&PathBuf, &Stamp)> {
        match &self.source {
            Source::Signature { .. } => None,
            Source::Checkpoint { path, stamp } => Some((path, stamp)),
        }
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
    /// Loading the engine and its weights.
    Load,
    /// Comparing what it computes with what it should.
    Prove,
    /// Compiling kernels for the sizes of its profiles, timing them, and trying hard inputs there.
    Warm,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graph => "graph",
            Self::Parse => "parse",
            Self::Build => "build",
            Self::Write => "write",
            Self::Publish => "publish",
            Self::Load => "load",
            Self::Prove => "prove",
            Self::Warm => "warm",
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Size of the plan.
    pub bytes: u64,
    /// BLAKE3 of the plan.
    pub blake3: Id,
    /// Greatest memory that the worker held, in bytes.
    pub peak_bytes: u64,
    /// How its weights are bound; absent where they are inside.
    pub binding: Option<Binding>,
    /// What was read from the plan.
    pub accumulation: Accumulation,
}

/// A line from the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// It goes on.
    Progress(Progress),
    /// The plan is in the job's folder; the last line.
    Built(Built),
    /// The engine was run; the last line.
    Validated(Findings),
    /// The plan is where it was wanted, synced, and has so many bytes; the last line.
    Materialized(u64),
    /// It can't be done, and why; the last line.
    Failed(String),
    /// Engines can't compute with this checkpoint's weights, and why; the last line.
    Unfit(String),
    /// It found no room on the disk; the last line.
    DiskFull(String),
    /// The GPU has too little free memory; the last line.
    OutOfMemory {
        /// Bytes that the engine takes at least, where that is known.
        needed: Option<u64>,
        /// Bytes that were free before.
        free: u64,
    },
}

#[cfg(test)]
mod golden;
