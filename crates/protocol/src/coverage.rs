use checkpoint::Id;
use serde::{Deserialize, Serialize};

use crate::EntryKey;

/// A requested image, in the user's terms; without `hires`, one pass over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The hires fix's upscale factor, if it is on.
    pub hires: Option<f64>,
}

impl Image {
    /// Returns the base pass and, with the hires fix, the one over the enlarged image, each as an image of one pass.
    pub fn passes(&self) -> impl Iterator<Item = (&'static str, Self)> {
        // A1111 truncates fractions of a pixel.
        let scaled = |pixels: u64, factor: f64| (pixels as f64 * factor) as u64;
        let base = Self { hires: None, ..*self };
        let second = self.hires.map(|factor| {
            let (width, height) = (scaled(self.width, factor), scaled(self.height, factor));
            ("hires", Self { width, height, ..base })
        });
        std::iter::once(("base", base)).chain(second)
    }
}

/// How an image would be made with a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coverage {
    /// The checkpoint's key: its weights id, or its path as long as its content is not known.
    pub weights_id: EntryKey,
    /// Such as `sd1`.
    pub architecture: String,
    /// Its first path.
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
    /// Images at once.
    pub batch: u64,
    /// Key of the engine on disk that serves it.
    pub engine: Option<Id>,
    /// Number of the optimization profile, from 0, in that engine or the one to be built.
    pub profile: Option<usize>,
    /// The profile's preset; absent if it is for a single shape.
    pub preset: Option<String>,
    /// It serves only this shape, and is faster for it.
    pub fixed: bool,
    /// Measured duration of one call of this size, in milliseconds.
    pub milliseconds: Option<f64>,
    /// For several images at once, how long the fastest engine takes for one of them alone, if that was measured.
    pub single_milliseconds: Option<f64>,
    /// How long PyTorch takes for it, if a front end has measured both.
    pub torch_milliseconds: Option<f64>,
    /// Why no engine on disk serves it, and what to do.
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hires_fix_is_a_second_pass() {
        let image = Image { width: 520, height: 768, batch: 2, tokens: 75, hires: Some(1.55) };
        let found: Vec<_> =
            image.passes().map(|(name, pass)| (name, pass.width, pass.height)).collect();
        assert_eq!(found, [("base", 520, 768), ("hires", 806, 1190)]);
        assert_eq!(Image { hires: None, ..image }.passes().count(), 1);
    }
}
