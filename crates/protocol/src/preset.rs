use serde::{Deserialize, Serialize};

/// A range of one dimension, in the user's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sizes {
    /// Minimum.
    pub min: u64,
    /// What kernels are chosen for.
    pub opt: u64,
    /// Maximum.
    pub max: u64,
}

/// A named set of sizes that engines are built for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preset {
    /// Its name.
    pub name: String,
    /// Width of an image, in pixels.
    pub width: Sizes,
    /// Height of an image, in pixels.
    pub height: Sizes,
    /// Images per batch.
    pub batch: Sizes,
    /// Tokens of the prompt.
    pub tokens: Sizes,
    /// Whether there is a second engine that takes what ControlNets add.
    #[serde(default)]
    pub controlnet: bool,
}

/// A preset, and what it is used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresetUse {
    /// The preset.
    #[serde(flatten)]
    pub preset: Preset,
    /// Whether it can't be changed.
    pub builtin: bool,
    /// `sd` or `sdxl`: built-in presets of one name have other sizes for each.
    pub family: String,
    /// How many checkpoints have engines for it, or are to have them.
    pub checkpoints: usize,
}

/// What a change of presets brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PresetChange {
    /// All presets after it.
    pub presets: Vec<PresetUse>,
    /// How many engines it makes sdtrtd build.
    pub engines: usize,
    /// The space that they will take, by the engines that are there; absent if there is none to go by.
    pub bytes: Option<u64>,
    /// The time that building them will take, one after the other, likewise.
    pub seconds: Option<u64>,
}
