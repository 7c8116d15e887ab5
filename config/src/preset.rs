use serde::{Deserialize, Serialize};

/// The least, the usual and the greatest value that a profile serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// Least value served.
    pub min: u64,
    /// The value that kernels are chosen for.
    pub opt: u64,
    /// Greatest value served.
    pub max: u64,
}

/// A named set of sizes, in the words of the person who asks for images.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Preset {
    /// The name that `sdtrtctl list` shows.
    pub name: String,
    /// Width and height of an image of SD 1.x and 2.x, in pixels.
    pub sd_pixels: Range,
    /// Width and height of an image of SDXL, in pixels.
    pub sdxl_pixels: Range,
    /// Images at once. The UNet sees each twice, with the prompt and without.
    pub batch: Range,
    /// Tokens of the prompt, a multiple of 75.
    pub tokens: Range,
}

impl Default for Preset {
    /// What every checkpoint gets without being asked: the sizes people use most.
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            sd_pixels: Range { min: 512, opt: 512, max: 768 },
            sdxl_pixels: Range { min: 768, opt: 1024, max: 1024 },
            batch: Range { min: 1, opt: 1, max: 4 },
            tokens: Range { min: 75, opt: 75, max: 150 },
        }
    }
}
