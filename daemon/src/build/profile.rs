use std::collections::BTreeMap;

use checkpoint::{Architecture, Kind};
use config::{Preset, Range};
use serde::{Deserialize, Serialize};

/// Pixels of the image for one of the latent, each way.
const PIXELS_PER_LATENT: u64 = 8;

/// A1111 cuts prompts into pieces of 75 tokens and adds a begin and an end mark to each.
const TOKENS_PER_PIECE: u64 = 75;
const POSITIONS_PER_PIECE: u64 = 77;

/// The shapes of one input that an engine serves, outermost dimension first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shapes {
    /// Least size of each dimension.
    pub min: Vec<u64>,
    /// The sizes that kernels are chosen for.
    pub opt: Vec<u64>,
    /// Greatest size of each dimension.
    pub max: Vec<u64>,
}

/// One optimization profile: the shapes of every input, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Shapes by input name.
    pub inputs: BTreeMap<String, Shapes>,
}

impl Profile {
    /// What a UNet of this architecture is handed when images of this preset are made.
    pub fn new(preset: &Preset, architecture: &Architecture) -> Self {
        let pixels = match architecture.kind {
            Kind::Sdxl | Kind::SdxlInpaint | Kind::SdxlRefiner => preset.sdxl_pixels,
            _ => preset.sd_pixels,
        };
        let latent = each(pixels, |pixels| pixels / PIXELS_PER_LATENT);
        let positions =
            each(preset.tokens, |tokens| tokens.div_ceil(TOKENS_PER_PIECE) * POSITIONS_PER_PIECE);
        // With the prompt and without in one call, but the least batch also alone: A1111 leaves
        // the latter out of some steps.
        let doubled = each(preset.batch, |batch| 2 * batch);
        let batch = Range { min: preset.batch.min, ..doubled };

        let shapes = |shape: &dyn Fn(fn(Range) -> u64) -> Vec<u64>| Shapes {
            min: shape(|range| range.min),
            opt: shape(|range| range.opt),
            max: shape(|range| range.max),
        };
        let mut inputs = BTreeMap::from([
            (
                "sample".to_owned(),
                shapes(&|of| vec![of(batch), architecture.in_channels, of(latent), of(latent)]),
            ),
            ("timesteps".to_owned(), shapes(&|of| vec![of(batch)])),
            (
                "encoder_hidden_states".to_owned(),
                shapes(&|of| vec![of(batch), of(positions), architecture.context_width]),
            ),
        ]);
        if let Some(width) = architecture.y_width {
            inputs.insert("y".to_owned(), shapes(&|of| vec![of(batch), width]));
        }
        Self { inputs }
    }
}

fn each(range: Range, of: impl Fn(u64) -> u64) -> Range {
    Range { min: of(range.min), opt: of(range.opt), max: of(range.max) }
}

#[cfg(test)]
mod tests {
    use checkpoint::Heads;

    use super::*;

    /// (input, min, opt, max) of every input.
    type Row = (&'static str, &'static [u64], &'static [u64], &'static [u64]);

    fn check(kind: Kind, in_channels: u64, context_width: u64, y_width: Option<u64>, rows: &[Row]) {
        let architecture =
            Architecture { kind, in_channels, context_width, y_width, heads: Heads::Count(8) };
        let profile = Profile::new(&Preset::default(), &architecture);
        assert_eq!(profile.inputs.len(), rows.len());
        for (name, min, opt, max) in rows {
            let shapes = &profile.inputs[*name];
            assert_eq!((&*shapes.min, &*shapes.opt, &*shapes.max), (*min, *opt, *max), "{name}");
        }
    }

    #[test]
    fn the_default_preset_in_shapes() {
        let sd1: [Row; 3] = [
            ("encoder_hidden_states", &[1, 77, 768], &[2, 77, 768], &[8, 154, 768]),
            ("sample", &[1, 4, 64, 64], &[2, 4, 64, 64], &[8, 4, 96, 96]),
            ("timesteps", &[1], &[2], &[8]),
        ];
        check(Kind::Sd1, 4, 768, None, &sd1);
        let sdxl_inpaint: [Row; 4] = [
            ("encoder_hidden_states", &[1, 77, 2048], &[2, 77, 2048], &[8, 154, 2048]),
            ("sample", &[1, 9, 96, 96], &[2, 9, 128, 128], &[8, 9, 128, 128]),
            ("timesteps", &[1], &[2], &[8]),
            ("y", &[1, 2816], &[2, 2816], &[8, 2816]),
        ];
        check(Kind::SdxlInpaint, 9, 2048, Some(2816), &sdxl_inpaint);
    }
}
