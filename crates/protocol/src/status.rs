use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{EntryKey, GpuReading, Hashing, State, StoreStatus};

/// The daemon at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The process.
    pub daemon: Daemon,
    /// The TensorRT in use.
    pub runtime: Option<Runtime>,
    /// Why it is missing, and what to do.
    pub runtime_problem: Option<String>,
    /// What else is wrong with the machine, so that builds wait or something can't be written: it is tried again
    /// automatically.
    #[serde(default)]
    pub troubles: Vec<String>,
    /// NVIDIA GPUs of this machine.
    pub gpus: Vec<Gpu>,
    /// What is wrong with the driver or a GPU, and what to do; absent on a machine that has no driver.
    pub gpu_problem: Option<String>,
    /// The watched folders.
    pub models_dirs: Vec<ModelsDir>,
    /// Whether `sdtrtctl pause` is in effect.
    pub paused: bool,
    /// When the pause ends by itself, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<u64>,
    /// What keeps everything in the queue from starting: a pause, or a busy machine. Absent if nothing does.
    pub gate: Option<String>,
    /// Engines to be built, or validated on a GPU, in order.
    pub queue: Vec<Queued>,
    /// The engines being built or validated: several shared ones on the CPU, and at most one for each GPU, or
    /// one without a GPU.
    pub building: Vec<Building>,
    /// Number of entries of `list` in each state; states without any are omitted.
    pub counts: BTreeMap<State, usize>,
    /// Files whose content is still to be read.
    #[serde(default)]
    pub hashing: Hashing,
    /// What this machine shares with others; absent if it shares nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreStatus>,
}

/// The daemon's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Daemon {
    /// Version of the program.
    pub version: String,
    /// Version of this protocol.
    pub protocol: u32,
    /// Process id.
    pub pid: u32,
    /// Whole seconds since it started.
    pub uptime_s: u64,
    /// Where engines are stored.
    pub data_dir: String,
}

/// The TensorRT in use, of a tested version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Runtime {
    /// `tensorrt-rtx`.
    pub flavour: String,
    /// Such as `1.7.1.116`.
    pub version: String,
    /// The main library.
    pub path: String,
}

/// An NVIDIA GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gpu {
    /// NVIDIA's id of this card.
    pub uuid: String,
    /// The product name.
    pub name: String,
    /// Such as `8.9`.
    pub compute_capability: String,
    /// Its use when last checked; absent while nothing is waiting, because checking would keep a
    /// sleeping GPU awake.
    pub reading: Option<GpuReading>,
}

/// A watched folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelsDir {
    /// The folder.
    pub path: String,
    /// Why it can't be watched or scanned at present.
    pub problem: Option<String>,
}

/// An engine to be built, or validated on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queued {
    /// The key of a checkpoint that it serves.
    pub weights_id: EntryKey,
    /// The presets or the single shape that it will serve, in one text.
    pub preset: String,
    /// Why it must be built, such as `no engine yet` or `recipe 1 → 2`; or validated, such as `not validated on
    /// this GPU yet` or `driver 580.65.06 → 580.95.05`.
    pub why: String,
    /// What it is waiting for.
    pub reason: String,
}

/// What a worker does with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Builds it.
    Build,
    /// Runs it on a GPU, to check its accuracy and speed.
    Validate,
    /// Builds one with a checkpoint's weights inside, in a chosen file.
    Materialize,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "building",
            Self::Validate => "validating",
            Self::Materialize => "materializing",
        })
    }
}

/// The engine that a worker is processing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Building {
    /// What the worker does.
    pub task: Task,
    /// The key of a checkpoint that it serves.
    pub weights_id: EntryKey,
    /// The presets or the single shape that it serves, in one text.
    pub preset: String,
    /// When building or materializing: `graph`, `parse`, `build`, `write` or `publish`; when validating: `load`,
    /// `prove` or `warm`.
    pub phase: String,
    /// Progress of this phase, 0 to 100.
    pub percent: u8,
    /// Whole seconds since it started.
    pub elapsed_s: u64,
    /// Index in `gpus`, from 0, of the GPU reserved for it; absent if it needs none.
    pub gpu: Option<usize>,
}
