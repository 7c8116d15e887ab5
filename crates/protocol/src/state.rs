//! What the daemon knows, as clients see it. Paths are text: bytes that are not UTF-8 show as U+FFFD.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{GpuReading, Shape};

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The file is new or changing; it is not read before it has stopped.
    Settling,
    /// Its tensors are being read.
    Identifying,
    /// An engine is missing, or not yet validated on the GPU, and waits for its turn.
    Queued,
    /// An engine is being built, or validated for the first time.
    Building,
    /// The engines of its presets are there.
    Ready,
    /// An engine is missing and will not come by itself; the reason says what to do.
    Failed,
    /// Not a checkpoint that engines can be built for; the reason says why.
    Rejected,
    /// No engine is wanted for it: the configuration says so, or the one that it had was removed; the reason
    /// says which.
    Off,
    /// No file that can be seen has this content, but a disk or a folder is away that may hold one; its
    /// engines are kept for as long as that lasts.
    Away,
    /// No file has this content any more; its engines are kept for a time.
    Orphaned,
    /// An engine of a former release, which had to be refitted and is not used any more; it goes once a new one
    /// is there.
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

/// One content, wherever it lies; or one file whose content is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// 64 hex digits; absent until the file was read, and for what was rejected.
    pub weights_id: Option<String>,
    /// 64 hex digits.
    pub unet_id: Option<String>,
    /// Such as `sd1` or `sdxl-inpaint`.
    pub architecture: Option<String>,
    /// How far it has come.
    pub state: State,
    /// Why, where there is a why.
    pub reason: Option<String>,
    /// The paths at which it lies, sorted.
    pub locations: Vec<String>,
    /// Its published engines.
    pub engines: Vec<Arc<Engine>>,
    /// Engines that it should have and has not, or that are not used yet, in the order in which they come.
    pub coming: Vec<Coming>,
}

impl Checkpoint {
    /// What tells this entry from all others: the weights id, or the path of an unread file.
    pub fn key(&self) -> &str {
        match &self.weights_id {
            Some(id) => id,
            None => self.locations.first().map_or("", |path| path),
        }
    }
}

/// An engine to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coming {
    /// The presets that it will serve; none where it is for one shape.
    pub presets: Vec<String>,
    /// The only shape that it will serve, where it is for one that is asked for.
    pub fixed: Option<Shape>,
    /// How far it is.
    pub state: State,
    /// Why, where there is a why.
    pub reason: Option<String>,
}

impl Coming {
    /// What it is for, in one text.
    pub fn label(&self) -> String {
        self.fixed.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}

/// An engine's numbers beside those that it should give: PyTorch's in the web UI's comparison, those
/// of an fp32 run on the CPU in a validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Proof {
    /// ‖engine − expected‖ / ‖expected‖; absent where the engine gave what is no number.
    pub relative_error: Option<f64>,
    /// The greatest error of an engine that is used.
    pub bound: f64,
}

/// What running an engine on a GPU showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Validation {
    /// The GPU's product name.
    pub gpu: String,
    /// Version of the driver.
    pub driver: String,
    /// How far it was off an fp32 run on the CPU.
    pub proof: Option<Proof>,
    /// Why it could not be compared; absent where it was.
    pub unproven: Option<String>,
    /// Seconds that comparing took, the run that it is compared with included.
    pub proof_seconds: f64,
    /// Of each profile its least, usual and greatest size that there was memory for.
    pub speeds: Vec<Speed>,
    /// Past which size it is not used there; absent where it is as far as its profiles go.
    pub limit: Option<Limit>,
    /// Calls with hard inputs, at the edges of its profiles, whose results were looked at for NaN and infinity.
    pub calls: u32,
    /// Seconds that those took which needed no kernels compiled.
    pub call_seconds: f64,
    /// When, in seconds since 1970.
    pub validated_at: u64,
}

/// How far an engine is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limit {
    /// Pixels of the largest image that it computes: for larger ones it gives NaN or infinity.
    pub pixels: u64,
    /// The input that showed it, such as `a constant latent`.
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
    /// Images in the call, those without the prompt counted too.
    pub batch: u64,
    /// Positions of the text, 77 for each piece of 75 tokens.
    pub tokens: u64,
}

/// How long one call of the UNet takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Speed {
    /// The optimization profile, from 0.
    pub profile: usize,
    /// The preset that it is of.
    pub preset: String,
    /// Images in the call, those without the prompt counted too.
    pub batch: u32,
    /// Pixels of the image.
    pub width: u32,
    /// Pixels of the image.
    pub height: u32,
    /// Tokens of the prompt.
    pub tokens: u32,
    /// The median of some calls.
    pub milliseconds: f64,
}

/// A published engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// 64 hex digits.
    pub key: String,
    /// `ready`, `failed` if its numbers were found to be wrong, or `retired`.
    pub state: State,
    /// How far it was off PyTorch, once the web UI has used it with this checkpoint.
    pub proof: Option<Proof>,
    /// What running it showed, once for each model of GPU and driver, the newest first.
    pub validations: Vec<Validation>,
    /// Calls for which it gave NaN or infinity in the web UI with this checkpoint.
    pub unusable: Vec<Unusable>,
    /// The plan that TensorRT loads.
    pub path: String,
    /// Size of the plan.
    pub bytes: u64,
    /// The presets whose profiles are inside; none where it is for one shape.
    pub presets: Vec<String>,
    /// The only shape that it serves, where it is for one that is asked for.
    pub fixed: Option<Shape>,
    /// Whether it has no weights of its own, and computes with those of whatever model is loaded.
    pub shared: bool,
    /// Which TensorRT built it: `tensorrt-rtx`.
    pub flavour: String,
    /// Version of that TensorRT, exactly.
    pub version: String,
    /// The GPUs it was built for, such as `8.9`; `default` where TensorRT chose.
    pub compute_capabilities: Vec<String>,
    /// What has changed since it was built, such as `TensorRT 1.6.1.120 → 1.7.1.116`; absent where
    /// it is as it should be. An outdated engine serves until its successor is there.
    pub outdated: Option<String>,
    /// It is kept whatever comes.
    pub pinned: bool,
    /// When it was built, in seconds since 1970.
    pub built_at: u64,
    /// When it was last built, taken up again or asked for, in seconds since 1970.
    pub last_used: u64,
    /// Since when no file has had its UNet, in seconds since 1970.
    pub orphaned_since: Option<u64>,
}

impl Engine {
    /// What it is for, in one text.
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
    /// Why there is none, and what to do.
    pub runtime_problem: Option<String>,
    /// NVIDIA GPUs of this machine.
    pub gpus: Vec<Gpu>,
    /// The watched folders.
    pub models_dirs: Vec<ModelsDir>,
    /// `sdtrtctl pause` was the last word.
    pub paused: bool,
    /// What keeps all that is in the queue from starting: a pause, or a machine that is not idle. Absent where
    /// nothing does.
    pub gate: Option<String>,
    /// Engines to come, and those to be validated on a GPU, in order.
    pub queue: Vec<Queued>,
    /// The engines being built or validated: some shared ones on the CPU, and one for each GPU at most, or one
    /// where there is none.
    pub building: Vec<Building>,
    /// Entries of `list` by state; states without any are left out.
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
    /// Where engines are kept.
    pub data_dir: String,
}

/// A TensorRT that was found, tested by its version, and is used.
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
    /// NVIDIA's name for this very card.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// Such as `8.9`.
    pub compute_capability: String,
    /// How it was used when it was last looked at; absent while nothing waits to be built, as
    /// asking would keep a sleeping GPU awake.
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

/// An engine to come, or one to be validated on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Queued {
    /// A checkpoint that it is for.
    pub weights_id: String,
    /// The presets it will hold, or the only shape that it will serve, in one text.
    pub preset: String,
    /// Why it is to be built, such as `no engine yet` or `recipe 1 → 2`; or validated, such as `not validated
    /// on this GPU yet` or `driver 580.65.06 → 580.95.05`.
    pub why: String,
    /// What it waits for.
    pub reason: String,
}

/// What a worker does with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// It builds it.
    Build,
    /// It runs it on a GPU, to see whether it is right and how fast it is.
    Validate,
    /// It builds one with a checkpoint's weights inside where somebody wanted it.
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

/// The engine that a worker is at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Building {
    /// What is done.
    pub task: Task,
    /// A checkpoint that it is for.
    pub weights_id: String,
    /// The presets it holds or will hold, or the only shape that it serves, in one text.
    pub preset: String,
    /// Of a build, and of what materializes an engine, `graph`, `parse`, `build`, `write` and `publish`; of a
    /// validation `load`, `prove` and `warm`.
    pub phase: String,
    /// Of this phase, 0 to 100.
    pub percent: u8,
    /// Whole seconds since it began.
    pub elapsed_s: u64,
    /// The place in `gpus`, from 0, of the GPU that is kept for it; absent where it takes none.
    pub gpu: Option<usize>,
}
