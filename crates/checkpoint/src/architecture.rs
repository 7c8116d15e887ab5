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
    /// IC-Light: SD 1.x with 12 input channels, of the picture, its foreground and its background.
    Sd1IcLight,
    /// SD 1.x with any other number of latents as its input.
    Sd1Other,
    /// Marigold: SD 2.x with 8 input channels.
    Sd2Marigold,
    /// Lotus: SD 2.x with the task's 4 numbers as `y`.
    Sd2Lotus,
    /// SD 2.x with any other number of latents as its input.
    Sd2Other,
    /// SDXL instruct-pix2pix, CosXL-Edit: 8 input channels.
    SdxlInstructPix2pix,
    /// SDXL with any other number of latents, or latents of more channels, as its input.
    SdxlOther,
}

/// No front end has a UNet with more input channels.
const MOST_CHANNELS: u64 = 64;

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The kind that the widths of the UNet's inputs tell; `None` if it is none of them.
    pub(crate) fn of(in_channels: u64, context_width: u64, y_width: Option<u64>) -> Option<Self> {
        // Whole latents of four channels each, and perhaps a mask or a depth map.
        let are_latents = (4..=MOST_CHANNELS).contains(&in_channels) && in_channels % 4 <= 1;
        Some(match (context_width, y_width, in_channels) {
            (768, None, 4) => Self::Sd1,
            (768, None, 8) => Self::InstructPix2pix,
            (768, None, 9) => Self::Sd1Inpaint,
            (768, None, 12) => Self::Sd1IcLight,
            (768, None, _) if are_latents => Self::Sd1Other,
            (1024, None, 4) => Self::Sd2,
            (1024, None, 5) => Self::Sd2Depth,
            (1024, None, 8) => Self::Sd2Marigold,
            (1024, None, 9) => Self::Sd2Inpaint,
            (1024, None, _) if are_latents => Self::Sd2Other,
            (1024, Some(1536 | 2048), 4) => Self::Sd2Unclip,
            (1024, Some(4), _) if are_latents => Self::Sd2Lotus,
            (2048, Some(2816), 4) => Self::Sdxl,
            (2048, Some(2816), 8) => Self::SdxlInstructPix2pix,
            (2048, Some(2816), 9) => Self::SdxlInpaint,
            (2048, Some(2816), _) if are_latents => Self::SdxlOther,
            (1280, Some(2560), 4) => Self::SdxlRefiner,
            _ => return None,
        })
    }
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
    /// Channels of the `sample` input, such as 4, or 9 for inpainting.
    pub in_channels: u64,
    /// Width of the `encoder_hidden_states` input.
    pub context_width: u64,
    /// Width of the `y` input, for the models that take one.
    pub y_width: Option<u64>,
    /// How attention is split into heads.
    pub heads: Heads,
}
