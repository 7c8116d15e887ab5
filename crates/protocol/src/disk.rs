use serde::{Deserialize, Serialize};

use crate::Checkpoint;

/// Disk usage of the data folder. All sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disk {
    /// The entries of `list` that have engines. Those with the same UNet have the same engines.
    pub checkpoints: Vec<Checkpoint>,
    /// The totals.
    pub sums: Sums,
    /// Maximum size of all engines together; absent if there is no limit.
    pub quota: Option<u64>,
    /// Free space on the engines' disk.
    pub free: u64,
    /// How much of that a build must leave free.
    pub min_free: u64,
}

/// Total size of each kind of file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sums {
    /// All engines.
    pub engines: u64,
    /// Engines that no longer belong to any file.
    pub orphans: u64,
    /// TensorRT's logs of builds.
    pub logs: u64,
    /// Unfinished engines.
    pub scratch: u64,
    /// Installed libraries: TensorRT-RTX and ONNX Runtime.
    pub runtimes: u64,
    /// What was learned about files.
    pub learned: u64,
    /// Kernels compiled for GPUs.
    pub kernels: u64,
}

/// Something that is no longer needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Garbage {
    /// The file.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Why it is deleted.
    pub reason: String,
}
