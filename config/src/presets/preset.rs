use serde::{Deserialize, Serialize};

use super::Range;
use crate::Error;

/// Widths and heights are multiples of this, as in the web UI's NVIDIA extension: the UNet halves
/// the latent, an eighth of the image, three times.
const PIXEL_STEP: u64 = 64;

/// Greatest width and height. Nothing that A1111 offers is larger.
const MOST_PIXELS: u64 = 4096;

/// A1111 cuts prompts into chunks of this many tokens.
const TOKEN_STEP: u64 = 75;

/// Most tokens of a prompt.
const MOST_TOKENS: u64 = 750;

/// Most images at once.
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
    /// Images at once. The UNet sees each twice, with the prompt and without.
    pub batch: Range,
    /// Tokens of the prompt, a multiple of 75.
    pub tokens: Range,
}

impl Preset {
    /// Refuses sizes that the UNet can't be given.
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
