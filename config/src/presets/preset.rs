use serde::{Deserialize, Serialize};

use super::Range;
use crate::Error;

/// Widths and heights are multiples of this, as in the web UI's NVIDIA extension: the UNet halves the latent,
/// which is an eighth of the image, three times.
pub const PIXEL_STEP: u64 = 64;

/// The maximum width and height; A1111 offers no larger ones.
const MOST_PIXELS: u64 = 4096;

/// A1111 splits prompts into chunks of this many tokens.
const TOKEN_STEP: u64 = 75;

/// The maximum length of a prompt in tokens.
const MOST_TOKENS: u64 = 750;

/// The maximum number of images per batch.
const MOST_IMAGES: u64 = 32;

/// A named set of sizes, in the user's terms.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name shown by `sdtrtctl list`.
    pub name: String,
    /// Width of an image, in pixels.
    pub width: Range,
    /// Height of an image, in pixels.
    pub height: Range,
    /// Images per batch. The UNet gets each twice: with the prompt and with the negative prompt.
    pub batch: Range,
    /// Tokens of the prompt, a multiple of 75.
    pub tokens: Range,
    /// Whether there is a second engine that takes what ControlNets add.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub controlnet: bool,
}

impl Preset {
    /// A preset whose width and height have the same range.
    pub(super) fn square(name: &str, pixels: Range, batch: Range, tokens: Range) -> Self {
        let name = name.to_owned();
        Self { name, width: pixels, height: pixels, batch, tokens, controlnet: false }
    }

    /// Refuses sizes that the UNet can't compute.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.name.trim().is_empty() {
            return Err(Error::value("presets.name", "\"\"", "expected a name"));
        }
        let key = |of: &str| format!("presets.{}.{of}", self.name);
        self.width.check(&key("width"), PIXEL_STEP, MOST_PIXELS)?;
        self.height.check(&key("height"), PIXEL_STEP, MOST_PIXELS)?;
        self.batch.check(&key("batch"), 1, MOST_IMAGES)?;
        self.tokens.check(&key("tokens"), TOKEN_STEP, MOST_TOKENS)
    }
}
