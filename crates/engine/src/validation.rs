use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// Relative error against fp32 past which an engine is not used: twice what a right engine of a whole UNet
/// was seen to have (docs/graph.md).
pub const BOUND: f64 = 2e-2;

/// An engine's numbers beside those that it should give.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// ‖engine − expected‖ / ‖expected‖; absent where the engine gave what is no number.
    pub relative_error: Option<f64>,
    /// The greatest error of an engine that is used.
    pub bound: f64,
}

impl Proof {
    /// Whether the engine is used.
    pub fn holds(&self) -> bool {
        self.relative_error.is_some_and(|error| error <= self.bound)
    }
}

/// How long one call of the UNet takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// The optimization profile, from 0.
    pub profile: usize,
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

/// How far an engine may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Pixels of the largest image at which all was finite: for larger ones it gives NaN or infinity.
    pub pixels: u64,
    /// The input that showed it, for people to read.
    pub input: String,
}

/// What running an engine showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Its numbers, or why they could not be compared with anything.
    pub proof: Result<Proof, String>,
    /// Seconds that comparing took, the run that it is compared with included.
    pub proof_seconds: f64,
    /// Of each profile its least, usual and greatest size that there was memory for.
    pub speeds: Vec<Speed>,
    /// Past which size it is not used; absent where it is as far as its profiles go.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// Calls with hard inputs whose results were looked at for NaN and infinity.
    #[serde(default)]
    pub calls: u32,
    /// Seconds that those took which needed no kernels compiled.
    #[serde(default)]
    pub call_seconds: f64,
}

/// An engine once run on a GPU of one model with one driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The GPU's product name.
    pub gpu: String,
    /// Version of the driver.
    pub driver: String,
    /// Whose weights it had: the UNet id.
    pub unet: Id,
    /// When, in seconds since 1970.
    pub validated_at: u64,
    /// What was found.
    pub findings: Findings,
}

/// In what a plan sums the second product of self-attentions, which overflows in fp16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accumulation {
    /// In fp32, as it must be.
    Fp32,
    /// The plan does not tell: where there is a GPU, the engine is not used before it was seen to be right.
    #[default]
    Unknown,
}
