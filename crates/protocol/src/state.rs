//! The daemon's state as clients see it. Paths are text: bytes that are not UTF-8 become U+FFFD.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{GpuReading, Shape};

/// A checkpoint's or an engine's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The file is new or changing; it is read once it stops changing.
    Settling,
    /// Its tensors are being read.
    Identifying,
    /// An engine is missing, or not yet validated on the GPU, and is waiting.
    Queued,
    /// An engine is being built, or validated for the first time.
    Building,
    /// The engines of its presets are available.
    Ready,
    /// An engine is missing and will not be built automatically; the reason says what to do.
    Failed,
    /// Not a checkpoint that engines can be built for; the reason says why.
    Rejected,
    /// It should have no engine: the configuration says so, or its engine was removed; the reason says which.
    Off,
    /// No visible file has these weights, but one may be on a disk or in a folder that is unavailable; until
    /// that returns, its engines are kept.
    Away,
    /// No file has these weights any more; its engines are kept for a while.
    Orphaned,
    /// An engine of an earlier release that needed refitting and is no longer used; it is deleted once a new one
    /// exists.
    Retired,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Settling => "settling",
            Self::Identifying => "identifying",
            Self::Queued => "queued",
            Self::Building => "building",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Off => "off",
            Self::Away => "away",
            Self::Orphaned => "orphaned",
            Self::Retired => "retired",
        })
    }
}

/// A set of weights, in whichever files; or one file whose weights are unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// 64 hex digits; absent until the file has been read, and if it was rejected.
    pub weights_id: Option<String>,
    /// 64 hex digits.
    pub unet_id: Option<String>,
    /// Such as `sd1` or `sdxl-inpaint`.
    pub architecture: Option<String>,
    /// Its progress.
    pub state: State,
    /// Why, if there is a reason.
    pub reason: Option<String>,
    /// Its paths, sorted.
    pub locations: Vec<String>,
    /// Its published engines.
    pub engines: Vec<Arc<Engine>>,
    /// Engines that it should have but lacks, or that are not used yet, in the order in which they will be built.
    pub coming: Vec<Coming>,
}

impl Checkpoint {
    /// This entry's unique key: the weights id, or an unread file's path.
    pub fn key(&self) -> &str {
        match &self.weights_id {
            Some(id) => id,
            None => self.locations.first().map_or("", |path| path),
        }
    }
}

/// An engine to be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coming {
    /// The presets that it will serve; empty if it is for a single shape.
    pub presets: Vec<String>,
    /// The only shape that it will serve, if it is for a requested one.
    pub fixed: Option<Shape>,
    /// Its progress.
    pub state: State,
    /// Why, if there is a reason.
    pub reason: Option<String>,
}

impl Coming {
    /// What it serves, in one text.
    pub fn label(&self) -> String {
        self.fixed.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}

/// An engine's output compared with the expected one: PyTorch's in the web UI's comparison, that of an
/// fp32 run on the CPU in a validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// ‖engine − expected‖ / ‖expected‖; absent if the engine's output was not a number.
    pub relative_error: Option<f64>,
    /// The largest error of an engine that is used.
    pub bound: f64,
}

/// The results of running an engine on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Validation {
    /// The GPU's product name.
    pub gpu: String,
    /// Version of the driver.
    pub driver: String,
    /// The comparison with an fp32 run on the CPU.
    pub proof: Option<Proof>,
    /// Why it could not be compared; absent if it was.
    pub unproven: Option<String>,
    /// Duration of the comparison in seconds, including the run on the CPU.
    pub proof_seconds: f64,
    /// Each profile's minimum, optimum and maximum size, as far as memory allowed.
    pub speeds: Vec<Speed>,
    /// The size above which it is not used there; absent if its profiles are the only limit.
    pub limit: Option<Limit>,
    /// Number of calls with hard inputs, at the limits of its profiles, that were checked for NaN and infinity.
    pub calls: u32,
    /// Duration in seconds of those calls that needed no kernel compiled.
    pub call_seconds: f64,
    /// Time in seconds since 1970.
    pub validated_at: u64,
}

/// The size up to which an engine is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit {
    /// Pixels of the largest image that it can compute: larger ones give NaN or infinity.
    pub pixels: u64,
    /// The input that revealed it, such as `a constant latent`.
    pub input: String,
}

/// A call for which an engine gave NaN or infinity in the web UI and PyTorch did not: PyTorch computes it, and larger
/// images, with these weights on this GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unusable {
    /// The GPU's product name.
    pub gpu: String,
    /// Version of the driver.
    pub driver: String,
    /// Pixels of the image.
    pub width: u64,
    /// Pixels of the image.
    pub height: u64,
    /// Images in the call, with and without the prompt.
    pub batch: u64,
    /// Text positions, 77 for each chunk of 75 tokens.
    pub tokens: u64,
}

/// How long one call of the UNet takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Speed {
    /// The optimization profile, from 0.
    pub profile: usize,
    /// The profile's preset.
    pub preset: String,
    /// Images in the call, with and without the prompt.
    pub batch: u32,
    /// Pixels of the image.
    pub width: u32,
    /// Pixels of the image.
    pub height: u32,
    /// Tokens of the prompt.
    pub tokens: u32,
    /// Median of several calls.
    pub milliseconds: f64,
}

/// A published engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// 64 hex digits.
    pub key: String,
    /// `ready`, `failed` if its output proved inaccurate, or `retired`.
    pub state: State,
    /// The comparison with PyTorch, once the web UI has used it with this checkpoint.
    pub proof: Option<Proof>,
    /// Its validations, one for each GPU model and driver, newest first.
    pub validations: Vec<Validation>,
    /// Calls for which it gave NaN or infinity in the web UI with this checkpoint.
    pub unusable: Vec<Unusable>,
    /// The plan that TensorRT loads.
    pub path: String,
    /// Size of the plan.
    pub bytes: u64,
    /// The presets that it has profiles for; empty if it is for a single shape.
    pub presets: Vec<String>,
    /// The only shape that it serves, if it is for a requested one.
    pub fixed: Option<Shape>,
    /// Whether it contains no weights, and uses those of the loaded model.
    pub shared: bool,
    /// The TensorRT that built it: `tensorrt-rtx`.
    pub flavour: String,
    /// Exact version of that TensorRT.
    pub version: String,
    /// The GPUs it was built for, such as `8.9`; `default` if TensorRT chose.
    pub compute_capabilities: Vec<String>,
    /// What has changed since it was built, such as `TensorRT 1.6.1.120 → 1.7.1.116`; absent if it is
    /// current. An outdated engine serves until its successor exists.
    pub outdated: Option<String>,
    /// Whether it is never deleted.
    pub pinned: bool,
    /// When it was built, in seconds since 1970.
    pub built_at: u64,
    /// When it was last built, picked up again or requested, in seconds since 1970.
    pub last_used: u64,
    /// Since when no file has its UNet, in seconds since 1970.
    pub orphaned_since: Option<u64>,
}

impl Engine {
    /// What it serves, in one text.
    pub fn label(&self) -> String {
        self.fixed.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}

/// The daemon at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The process.
    pub daemon: Daemon,
    /// The TensorRT in use.
    pub runtime: Option<Runtime>,
    /// Why it is missing, and what to do.
    pub runtime_problem: Option<String>,
    /// NVIDIA GPUs of this machine.
    pub gpus: Vec<Gpu>,
    /// The watched folders.
    pub models_dirs: Vec<ModelsDir>,
    /// Whether `sdtrtctl pause` is in effect.
    pub paused: bool,
    /// What keeps everything in the queue from starting: a pause, or a busy machine. Absent if nothing does.
    pub gate: Option<String>,
    /// Engines to be built, or validated on a GPU, in order.
    pub queue: Vec<Queued>,
    /// The engines being built or validated: several shared ones on the CPU, and at most one for each GPU, or
    /// one without a GPU.
    pub building: Vec<Building>,
    /// Number of entries of `list` in each state; states without any are omitted.
    pub counts: BTreeMap<State, usize>,
}

/// The daemon's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A checkpoint that it serves.
    pub weights_id: String,
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
    /// A checkpoint that it serves.
    pub weights_id: String,
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
