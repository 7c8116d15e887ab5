//! Which Stable Diffusion a checkpoint is, read from its tensors' names and shapes.

use serde::{Deserialize, Serialize};
use strum::{Display, VariantArray};

/// The kind of model, as A1111's configuration guess tells them apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Display, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// SD 1.x.
    Sd1,
    /// SD 1.x inpainting: 9 input channels.
    Sd1Inpaint,
    /// instruct-pix2pix: 8 input channels.
    InstructPix2pix,
    /// SD 2.x, base and 768-v alike.
    Sd2,
    /// SD 2.x inpainting: 9 input channels.
    Sd2Inpaint,
    /// SD 2.x depth: 5 input channels.
    Sd2Depth,
    /// SD 2.x unCLIP: takes an image embedding as `y`.
    Sd2Unclip,
    /// SDXL base, including Turbo, LCM and Lightning variants and SSD-1B.
    Sdxl,
    /// SDXL inpainting: 9 input channels.
    SdxlInpaint,
    /// SDXL refiner.
    SdxlRefiner,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// How attention is split into heads; tensor shapes do not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Heads {
    /// A fixed number of heads (SD 1.x: 8).
    Count(u64),
    /// A fixed width of each head (all others: 64).
    Width(u64),
}

/// What determines a UNet's graph besides its tensors' names and shapes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Architecture {
    /// The kind of model.
    pub kind: Kind,
    /// Channels of the `sample` input: 4, 5, 8 or 9.
    pub in_channels: u64,
    /// Width of the `encoder_hidden_states` input.
    pub context_width: u64,
    /// Width of the `y` input, for the models that take one.
    pub y_width: Option<u64>,
    /// How attention is split into heads.
    pub heads: Heads,
}
