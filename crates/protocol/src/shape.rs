use std::fmt;

use serde::{Deserialize, Serialize};

/// Pixels of the image for each one of the latent: sizes are multiples of this.
const STEP: u64 = 8;

/// Greatest width and height.
const MOST_PIXELS: u64 = 4096;

/// Most images in one call.
const MOST_IMAGES: u64 = 32;

/// The image size and batch of one UNet call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shape {
    /// Pixels.
    pub width: u64,
    /// Pixels.
    pub height: u64,
    /// Images in the call, with and without the prompt.
    pub batch: u64,
}

impl Shape {
    /// Why no engine can be built for it, in words.
    pub fn problem(&self) -> Option<String> {
        for (name, pixels) in [("width", self.width), ("height", self.height)] {
            if pixels == 0 || pixels % STEP != 0 || pixels > MOST_PIXELS {
                return Some(format!(
                    "invalid {name} {pixels}: expected a multiple of {STEP} up to {MOST_PIXELS}"
                ));
            }
        }
        let is_batch = (1..=MOST_IMAGES).contains(&self.batch);
        (!is_batch).then(|| format!("invalid batch {}: expected 1 to {MOST_IMAGES}", self.batch))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} batch {}", self.width, self.height, self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_unet_can_be_given() {
        for ((width, height, batch), said) in [
            ((512, 768, 2), ""),
            ((8, 4096, 1), ""),
            ((1016, 520, 32), ""),
            ((500, 512, 2), "invalid width 500: expected a multiple of 8"),
            ((512, 0, 2), "invalid height 0"),
            ((4104, 512, 2), "invalid width 4104"),
            ((512, 512, 0), "invalid batch 0: expected 1 to 32"),
            ((512, 512, 33), "invalid batch 33"),
        ] {
            let shape = Shape { width, height, batch };
            let problem = shape.problem();
            assert_eq!(problem.is_some(), !said.is_empty(), "{shape}: {problem:?}");
            assert!(problem.unwrap_or_default().starts_with(said), "{shape}");
        }
    }
}
