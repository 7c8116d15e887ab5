use checkpoint::Id;
use serde::{Deserialize, Serialize};

use crate::{Shape, State};

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

/// How long an engine and PyTorch take for the same call of the UNet, as a front end runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Timing {
    /// The GPU's product name.
    pub gpu: String,
    /// Version of the driver.
    pub driver: String,
    /// Version of PyTorch.
    pub torch: String,
    /// The front end, and how it computes attention.
    pub front_end: String,
    /// Pixels of the image.
    pub width: u64,
    /// Pixels of the image.
    pub height: u64,
    /// Images in the call, with and without the prompt.
    pub batch: u64,
    /// Text positions, 77 for each chunk of 75 tokens.
    pub tokens: u64,
    /// The engine's median.
    pub engine_milliseconds: f64,
    /// PyTorch's median.
    pub torch_milliseconds: f64,
    /// How far single calls were off these, in all.
    pub noise_milliseconds: f64,
}

impl Timing {
    /// How many times as fast as PyTorch the engine is.
    pub fn gain(&self) -> f64 {
        self.torch_milliseconds / self.engine_milliseconds
    }

    /// Whether PyTorch is faster, by more than the noise: then front ends let it compute.
    pub fn is_slower(&self) -> bool {
        self.engine_milliseconds - self.torch_milliseconds > self.noise_milliseconds
    }
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
    /// A hash of everything that determines its bytes.
    pub key: Id,
    /// `ready`, `failed` if its output proved inaccurate, or `retired`.
    pub state: State,
    /// The comparison with PyTorch, once the web UI has used it with this checkpoint.
    pub proof: Option<Proof>,
    /// Its validations, one for each GPU model and driver, newest first.
    pub validations: Vec<Validation>,
    /// Calls for which it gave NaN or infinity in the web UI with this checkpoint.
    pub unusable: Vec<Unusable>,
    /// What front ends have measured beside PyTorch, the oldest first.
    pub timings: Vec<Timing>,
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
