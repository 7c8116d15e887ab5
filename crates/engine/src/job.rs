//! The messages between the daemon and a worker, each a line of JSON: the worker writes a [`crate::Hello`],
//! reads one [`Job`], and writes [`Report`]s. The daemon keeps the worker's standard input open while it
//! wants the job: when that closes, even because the daemon was killed, the worker stops.

use std::path::PathBuf;

use checkpoint::{Id, Stamp};
use serde::{Deserialize, Serialize};
use strum::Display;
use unet::Binding;

use crate::{Accumulation, EngineSpec, Findings};

/// A job: one task for one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What to do.
    pub task: Task,
    /// The engine.
    pub spec: EngineSpec,
    /// What the engine is built from or run with.
    pub source: Source,
    /// The folder of the TensorRT libraries; if absent, the loader finds them.
    pub libraries: Option<PathBuf>,
    /// An empty folder for this job, on the engines' disk.
    pub folder: PathBuf,
    /// The UUID of the GPU to use; if absent, CUDA's first one.
    pub gpu: Option<String>,
}

/// Where a UNet comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Names and shapes, which are enough to build a shared engine.
    Signature {
        /// The UNet's tensors, by their names in a checkpoint.
        parameters: Vec<Parameter>,
    },
    /// A checkpoint's file, with its weights.
    Checkpoint {
        /// The file's path.
        path: PathBuf,
        /// The file's stamp when its ids were computed.
        stamp: Stamp,
    },
}

/// A tensor's name and shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The name in a checkpoint, including the UNet's prefix.
    pub name: String,
    /// The size of each dimension.
    pub shape: Vec<u64>,
}

/// What a worker can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Build the engine's plan in the job's folder.
    Build,
    /// Run a published engine on the GPU: check its output against the checkpoint, and time it.
    Validate(Published),
    /// Build a baked engine's plan and write it to `output`, which must not exist yet.
    Materialize {
        /// The plan to write.
        output: PathBuf,
    },
}

/// The files of a published engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The plan.
    pub plan: PathBuf,
    /// TensorRT's runtime cache with the kernels compiled for this GPU model and driver. It may not exist
    /// yet.
    pub kernels: PathBuf,
    /// The library of ONNX Runtime, which computes the reference; if absent, the loader finds it.
    pub onnx_runtime: Option<PathBuf>,
}

impl Job {
    /// Where the worker writes the plan.
    pub fn plan(&self) -> PathBuf {
        self.folder.join("engine")
    }

    /// The checkpoint that the job reads, if any.
    pub fn file(&self) -> Option<(&PathBuf, &Stamp)> {
        match &self.source {
            Source::Signature { .. } => None,
            Source::Checkpoint { path, stamp } => Some((path, stamp)),
        }
    }
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Phase {
    /// Building the graph.
    Graph,
    /// Passing the graph to TensorRT.
    Parse,
    /// TensorRT is building.
    Build,
    /// Writing the plan.
    Write,
    /// Moving the plan into the engine library.
    Publish,
    /// Loading the engine and its weights.
    Load,
    /// Comparing the engine's output with the expected one.
    Prove,
    /// Compiling kernels for the profiles' sizes, timing them, and trying inputs that have overflowed fp16
    /// before.
    Warm,
}

/// How far along a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The current phase.
    pub phase: Phase,
    /// The progress of this phase, from 0 to 100.
    pub percent: u8,
}

/// A plan that was written and synced to disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Size of the plan.
    pub bytes: u64,
    /// BLAKE3 of the plan.
    pub blake3: Id,
    /// The worker's peak memory use in bytes.
    pub peak_bytes: u64,
    /// A shared engine's binding; absent for a baked one.
    pub binding: Option<Binding>,
    /// In which type the plan's attention accumulates.
    pub accumulation: Accumulation,
    /// Of weights inside: whose they are, as they were read.
    #[serde(default)]
    pub weights: Option<Inside>,
}

/// Weights that were read to be put inside a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The UNet id of all that was read.
    pub unet: Id,
    /// [`checkpoint::Sample`] of it.
    pub sample: Id,
}

/// A line from the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    /// The job goes on.
    Progress(Progress),
    /// The plan is in the job's folder. This is the last line.
    Built(Built),
    /// The engine was run. This is the last line.
    Validated(Findings),
    /// The plan is at its destination, synced, and this many bytes long. This is the last line.
    Materialized(u64),
    /// The job failed, and why. This is the last line.
    Failed(String),
    /// Engines can't compute with this checkpoint's weights, and why. This is the last line.
    Unfit(String),
    /// The disk is full. This is the last line.
    DiskFull(String),
    /// The system refused something, or TensorRT can't be loaded: no job will succeed until that is fixed. This is the
    /// last line.
    Trouble(String),
    /// Something that may pass prevents this job alone. This is the last line.
    Held(String),
    /// The file is not what was identified. This is the last line.
    Changed(String),
    /// The GPU has too little free memory. This is the last line.
    OutOfMemory {
        /// The bytes that the engine needs at least, if known.
        needed: Option<u64>,
        /// The bytes that were free before the job.
        free: u64,
    },
}

#[cfg(test)]
mod golden;
