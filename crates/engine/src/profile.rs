use std::collections::BTreeMap;

use checkpoint::{Architecture, Kind};
use config::{Family, Preset, Range};
use protocol::Shape;
use serde::{Deserialize, Serialize};
use unet::Residual;

/// Pixels per latent position, in each direction.
pub const PIXELS_PER_LATENT: u64 = 8;

/// A1111 splits prompts into chunks of 75 tokens and adds a begin and an end token to each.
pub const TOKENS_PER_PIECE: u64 = 75;
/// Positions in the UNet's context for each chunk.
pub const POSITIONS_PER_PIECE: u64 = 77;

/// The context length of a fixed engine: a range costs it nothing, so it serves every prompt.
const FIXED_POSITIONS: Range = Range { min: 77, opt: 77, max: 308 };

/// The shapes of one input that an engine accepts, outermost dimension first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shapes {
    /// The minimum of each dimension.
    pub min: Vec<u64>,
    /// The optimum, which kernels are chosen for.
    pub opt: Vec<u64>,
    /// The maximum of each dimension.
    pub max: Vec<u64>,
}

/// An optimization profile: the shapes of every input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Profile {
    /// Shapes by input name.
    pub inputs: BTreeMap<String, Shapes>,
}

impl Profile {
    /// Computes the shapes of all inputs for images of this preset.
    pub fn new(preset: &Preset, architecture: &Architecture) -> Self {
        let copies = copies(architecture.kind);
        let batch = preset.batch.map(|images| copies * images);
        let is_fixed = [preset.width, preset.height, preset.batch].iter().all(is_single);
        // An open engine must accept a single image: A1111 leaves the negative prompt out of some steps.
        let batch = if is_fixed { batch } else { Range { min: 1, ..batch } };
        Self::of(preset.width, preset.height, batch, preset.tokens.map(positions), architecture)
    }

    /// Makes the profile of a fixed engine: one shape, every prompt length.
    pub fn fixed(shape: &Shape, architecture: &Architecture) -> Self {
        let [width, height, batch] = [shape.width, shape.height, shape.batch].map(single);
        Self::of(width, height, batch, FIXED_POSITIONS, architecture)
    }

    /// Width and height in pixels, and the batch of the UNet's calls.
    fn of(
        width: Range,
        height: Range,
        batch: Range,
        positions: Range,
        architecture: &Architecture,
    ) -> Self {
        let latent = |pixels: u64| pixels / PIXELS_PER_LATENT;
        let (height, width) = (height.map(latent), width.map(latent));
        let shapes = |shape: &dyn Fn(fn(Range) -> u64) -> Vec<u64>| Shapes {
            min: shape(|range| range.min),
            opt: shape(|range| range.opt),
            max: shape(|range| range.max),
        };
        let mut inputs = BTreeMap::from([
            (
                "sample".to_owned(),
                shapes(&|of| vec![of(batch), architecture.in_channels, of(height), of(width)]),
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

    /// The same with the shapes of these inputs, which follow from `sample`.
    #[must_use]
    pub fn with_residuals(mut self, residuals: &[Residual]) -> Self {
        let Some(Shapes { min, opt, max }) = self.inputs.get("sample").cloned() else {
            return self;
        };
        for residual in residuals {
            let [min, opt, max] = [&min, &opt, &max].map(|sample| residual.shape(sample));
            self.inputs.insert(residual.name.clone(), Shapes { min, opt, max });
        }
        self
    }

    /// Whether the profile accepts only one shape.
    pub fn is_fixed(&self) -> bool {
        self.shape().is_some()
    }

    /// The only shape that it accepts, if there is just one.
    pub fn shape(&self) -> Option<Shape> {
        let sample = self.inputs.get("sample").filter(|sample| sample.min == sample.max)?;
        let [batch, _, height, width] = sample.max[..] else { return None };
        let pixels = |latent| latent * PIXELS_PER_LATENT;
        Some(Shape { width: pixels(width), height: pixels(height), batch })
    }
}

fn single(value: u64) -> Range {
    Range { min: value, opt: value, max: value }
}

fn is_single(range: &Range) -> bool {
    range.min == range.max
}

/// The positions in the UNet's context for this many tokens.
pub fn positions(tokens: u64) -> u64 {
    tokens.div_ceil(TOKENS_PER_PIECE) * POSITIONS_PER_PIECE
}

/// How often A1111 puts each image into one call: with the prompt and the negative prompt, and for
/// instruct-pix2pix a third time.
pub fn copies(kind: Kind) -> u64 {
    if kind == Kind::InstructPix2pix { 3 } else { 2 }
}

/// The presets' family for a kind of model.
pub fn family(kind: Kind) -> Family {
    match kind {
        Kind::Sdxl
        | Kind::SdxlInpaint
        | Kind::SdxlRefiner
        | Kind::SdxlInstructPix2pix
        | Kind::SdxlOther => Family::Sdxl,
        _ => Family::Sd,
    }
}

/// Whether front ends have ControlNets for a kind of UNet.
pub(crate) fn takes_controlnets(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Sd1
            | Kind::Sd1Inpaint
            | Kind::Sd2
            | Kind::Sd2Inpaint
            | Kind::Sdxl
            | Kind::SdxlInpaint
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use checkpoint::Heads;
    use config::{Config, Rule};

    use super::*;

    /// (input, min, opt, max) of every input.
    type Row = (&'static str, &'static [u64], &'static [u64], &'static [u64]);

    fn architecture(
        kind: Kind,
        in_channels: u64,
        context_width: u64,
        y_width: Option<u64>,
    ) -> Architecture {
        Architecture { kind, in_channels, context_width, y_width, heads: Heads::Count(8) }
    }

    fn preset(name: &str, architecture: &Architecture) -> Profile {
        let mut config = Config::default();
        let rule = Rule { presets: vec![name.to_owned()], ..Rule::default() };
        config.rules.push(rule);
        let kind = architecture.kind;
        let presets = config.presets_for(&kind.to_string(), family(kind), Path::new("/m/a"));
        Profile::new(&presets[0], architecture)
    }

    fn check(profile: &Profile, is_fixed: bool, rows: &[Row]) {
        assert_eq!(profile.is_fixed(), is_fixed);
        assert_eq!(profile.inputs.len(), rows.len());
        for (name, min, opt, max) in rows {
            let shapes = &profile.inputs[*name];
            assert_eq!((&*shapes.min, &*shapes.opt, &*shapes.max), (*min, *opt, *max), "{name}");
        }
    }

    #[test]
    fn presets_in_shapes() {
        let sd1: [Row; 3] = [
            ("encoder_hidden_states", &[1, 77, 768], &[2, 77, 768], &[8, 154, 768]),
            ("sample", &[1, 4, 64, 64], &[2, 4, 64, 64], &[8, 4, 96, 96]),
            ("timesteps", &[1], &[2], &[8]),
        ];
        let sd = architecture(Kind::Sd1, 4, 768, None);
        check(&preset("default", &sd), false, &sd1);
        let pix2pix: [Row; 3] = [
            ("encoder_hidden_states", &[1, 77, 768], &[3, 77, 768], &[12, 154, 768]),
            ("sample", &[1, 8, 64, 64], &[3, 8, 128, 128], &[12, 8, 256, 256]),
            ("timesteps", &[1], &[3], &[12]),
        ];
        let architecture_8 = architecture(Kind::InstructPix2pix, 8, 768, None);
        check(&preset("dynamic", &architecture_8), false, &pix2pix);
        let sdxl_inpaint: [Row; 4] = [
            ("encoder_hidden_states", &[1, 77, 2048], &[2, 77, 2048], &[8, 154, 2048]),
            ("sample", &[1, 9, 96, 96], &[2, 9, 128, 128], &[8, 9, 128, 128]),
            ("timesteps", &[1], &[2], &[8]),
            ("y", &[1, 2816], &[2, 2816], &[8, 2816]),
        ];
        let xl = architecture(Kind::SdxlInpaint, 9, 2048, Some(2816));
        check(&preset("default", &xl), false, &sdxl_inpaint);
    }

    #[test]
    fn a_preset_of_one_size_is_fixed_and_so_is_a_shape() {
        let sd = architecture(Kind::Sd1, 4, 768, None);
        let one_size: [Row; 3] = [
            ("encoder_hidden_states", &[2, 77, 768], &[2, 77, 768], &[2, 77, 768]),
            ("sample", &[2, 4, 96, 96], &[2, 4, 96, 96], &[2, 4, 96, 96]),
            ("timesteps", &[2], &[2], &[2]),
        ];
        check(&preset("768x768 | Batch Size 1 (Static)", &sd), true, &one_size);
        let xl = architecture(Kind::Sdxl, 4, 2048, Some(2816));
        let shape = Shape { width: 832, height: 1216, batch: 1 };
        let of_shape: [Row; 4] = [
            ("encoder_hidden_states", &[1, 77, 2048], &[1, 77, 2048], &[1, 308, 2048]),
            ("sample", &[1, 4, 152, 104], &[1, 4, 152, 104], &[1, 4, 152, 104]),
            ("timesteps", &[1], &[1], &[1]),
            ("y", &[1, 2816], &[1, 2816], &[1, 2816]),
        ];
        check(&Profile::fixed(&shape, &xl), true, &of_shape);
    }
}
