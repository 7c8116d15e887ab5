use serde::{Deserialize, Serialize};

/// What is asked of the UNet, in the words of the person who asks for images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Image {
    /// Pixels.
    pub width: u64,
    /// Pixels.
    pub height: u64,
    /// Images at once.
    pub batch: u64,
    /// Tokens of the longer prompt.
    pub tokens: u64,
    /// By how much the hires fix enlarges the image, where it is on.
    pub hires: Option<f64>,
}

/// How an image would be made with a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coverage {
    /// 64 hex digits.
    pub weights_id: String,
    /// Such as `sd1`.
    pub architecture: String,
    /// The first path at which it lies.
    pub location: Option<String>,
    /// The passes, in order.
    pub passes: Vec<PassCoverage>,
}

/// How one pass would be served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PassCoverage {
    /// `base` or `hires`.
    pub pass: String,
    /// Pixels.
    pub width: u64,
    /// Pixels.
    pub height: u64,
    /// Key of the engine on disk that serves it.
    pub engine: Option<String>,
    /// Number of the optimization profile, from 0, in that engine or the one to come.
    pub profile: Option<usize>,
    /// The preset that this profile is of; absent where it is for one shape.
    pub preset: Option<String>,
    /// It serves this one shape alone, and is the faster for it.
    pub fixed: bool,
    /// Milliseconds that one call of this size was measured to take here.
    pub milliseconds: Option<f64>,
    /// Why no engine on disk serves it, and what to do.
    pub problem: Option<String>,
}
