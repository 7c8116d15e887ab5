//! The built-in presets.

use super::{Preset, Range};

/// Model families with the same usual image sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// SD 1.x and 2.x with all their variants.
    Sd,
    /// SDXL with its variants and refiner.
    Sdxl,
}

/// The presets of checkpoints that no rule matches. A baked engine has both; the second profile costs 25 MB.
pub(crate) const USUAL: [&str; 2] = ["default", "dynamic"];

const BATCH: Range = Range::new(1, 1, 4);
const TOKENS: Range = Range::new(75, 75, 150);
const ONE: Range = Range::new(1, 1, 1);
const ONE_PIECE: Range = Range::new(75, 75, 75);

/// Width and height, batch, tokens.
type Sizes = (Range, Range, Range);

/// The presets of the web UI's NVIDIA extension, with its names and sizes (its `datastructures.py`).
const EXTENSION: [(&str, Sizes); 6] = [
    ("512x512 | Batch Size 1 (Static)", (Range::new(512, 512, 512), ONE, ONE_PIECE)),
    ("768x768 | Batch Size 1 (Static)", (Range::new(768, 768, 768), ONE, ONE_PIECE)),
    ("1024x1024 | Batch Size 1 (Static)", (Range::new(1024, 1024, 1024), ONE, ONE_PIECE)),
    ("256x256 - 512x512 | Batch Size 1-4", (Range::new(256, 512, 512), BATCH, TOKENS)),
    ("512x512 - 768x768 | Batch Size 1-4", (Range::new(512, 512, 768), BATCH, TOKENS)),
    ("768x768 - 1024x1024 | Batch Size 1-4", (Range::new(768, 1024, 1024), BATCH, TOKENS)),
];

/// The names of all built-in presets.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    USUAL.into_iter().chain(EXTENSION.iter().map(|(name, _)| *name))
}

/// Returns the built-in preset with this name.
pub(super) fn find(name: &str, family: Family) -> Option<Preset> {
    let (pixels, batch, tokens) = match (name, family) {
        ("default", Family::Sd) => (Range::new(512, 512, 768), BATCH, TOKENS),
        ("default", Family::Sdxl) => (Range::new(768, 1024, 1024), BATCH, TOKENS),
        // A base size and twice that size, for the second pass of the hires fix.
        ("dynamic", Family::Sd) => (Range::new(512, 1024, 2048), BATCH, TOKENS),
        ("dynamic", Family::Sdxl) => (Range::new(768, 1024, 2048), BATCH, TOKENS),
        _ => EXTENSION.iter().find(|(known, _)| *known == name)?.1,
    };
    Some(Preset::square(name, pixels, batch, tokens))
}
