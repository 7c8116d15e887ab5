use serde::{Deserialize, Serialize};

use crate::Checkpoint;

/// What takes the room in the data folder. All sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Disk {
    /// The entries of `list` that have engines. Those that share a UNet share its engines.
    pub checkpoints: Vec<Checkpoint>,
    /// What it comes to.
    pub sums: Sums,
    /// What all engines together may take; absent where that is not limited.
    pub quota: Option<u64>,
    /// Free on the engines' disk.
    pub free: u64,
    /// What a build must leave of that.
    pub min_free: u64,
}

/// What each kind of file comes to, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sums {
    /// All engines.
    pub engines: u64,
    /// Those of them that no file belongs to any more.
    pub orphans: u64,
    /// What TensorRT said while it built.
    pub logs: u64,
    /// Unfinished engines.
    pub scratch: u64,
    /// Installed libraries: TensorRT-RTX and ONNX Runtime.
    pub runtimes: u64,
    /// What was learned of files.
    pub learned: u64,
    /// Kernels that were compiled for GPUs.
    pub kernels: u64,
}

/// Something that is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Garbage {
    /// The file.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Why it goes.
    pub reason: String,
}
