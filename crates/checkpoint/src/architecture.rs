//! Which Stable Diffusion a checkpoint is, read from its tensors' names and shapes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of model, as A1111's configuration guess tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    pub const ALL: [Self; 10] = [
        Self::Sd1,
        Self::Sd1Inpaint,
        Self::InstructPix2pix,
        Self::Sd2,
        Self::Sd2Inpaint,
        Self::Sd2Depth,
        Self::Sd2Unclip,
        Self::Sdxl,
        Self::SdxlInpaint,
        Self::SdxlRefiner,
    ];
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "sd1",
            Self::Sd1Inpaint => "sd1-inpaint",
            Self::InstructPix2pix => "instruct-pix2pix",
            Self::Sd2 => "sd2",
            Self::Sd2Inpaint => "sd2-inpaint",
            Self::Sd2Depth => "sd2-depth",
            Self::Sd2Unclip => "sd2-unclip",
            Self::Sdxl => "sdxl",
            Self::SdxlInpaint => "sdxl-inpaint",
            Self::SdxlRefiner => "sdxl-refiner",
        })
    }
}
