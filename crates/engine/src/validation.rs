use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// The largest relative error against fp32 of an engine that may be used: twice what correct engines of
/// full-size UNets were measured at (docs/graph.md).
pub const BOUND: f64 = 2e-2;

/// An engine's output compared with the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// ‖engine − expected‖ / ‖expected‖; absent if the engine's output is not finite.
    pub relative_error: Option<f64>,
    /// The largest error of an engine that may be used.
    pub bound: f64,
}

impl Proof {
    /// Whether the engine may be used.
    pub fn holds(&self) -> bool {
        self.relative_error.is_some_and(|error| error <= self.bound)
    }
}

/// How long one call of the UNet takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// The optimization profile, from 0.
    pub profile: usize,
    /// Images in the call, including those without the prompt.
    pub batch: u32,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Tokens in the prompt.
    pub tokens: u32,
    /// The median of several calls.
    pub milliseconds: f64,
}

/// Up to which size an engine may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Pixels of the largest image with finite output: at larger sizes the engine's output has NaN or
    /// infinity.
    pub pixels: u64,
    /// The input whose output was not finite, in words.
    pub input: String,
}

/// What running an engine showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// How accurate its output is, or why that could not be determined.
    pub proof: Result<Proof, String>,
    /// Seconds that the comparison took, including the reference.
    pub proof_seconds: f64,
    /// The latency at each profile's minimum, optimum and maximum size, as far as they fit into memory.
    pub speeds: Vec<Speed>,
    /// The size above which it is not used; absent if its whole profiles are.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Calls whose output was checked for NaN and infinity.
    #[serde(default)]
    pub calls: u32,
    /// Seconds of those calls that compiled no kernels.
    #[serde(default)]
    pub call_seconds: f64,
}

/// The result of running an engine on one GPU model with one driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The GPU's model.
    pub gpu: String,
    /// The driver's version.
    pub driver: String,
    /// The UNet id of the weights that it was run with.
    pub unet: Id,
    /// When, in seconds since 1970.
    pub validated_at: u64,
    /// Another machine made it, and a store passed it on; this one repeats it when it has nothing else to do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub borrowed: bool,
    /// The results.
    pub findings: Findings,
}

/// In which type a plan's self-attention accumulates its values, which overflow in fp16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accumulation {
    /// In fp32, as required.
    Fp32,
    /// The plan does not say: on a machine with a GPU, the engine is not used before its validation.
    #[default]
    Unknown,
}
