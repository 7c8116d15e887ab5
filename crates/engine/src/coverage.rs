//! Which images an engine's profiles can serve.

use checkpoint::Kind;
use config::{PIXEL_STEP, Range};
use protocol::{Image, Shape};

use crate::{
    Profile,
    profile::{PIXELS_PER_LATENT, POSITIONS_PER_PIECE, TOKENS_PER_PIECE, copies, positions},
};

/// The shape of a call for the prompt and the negative prompt of a pass together.
pub fn call_shape(pass: &Image, kind: Kind) -> Shape {
    Shape { width: pass.width, height: pass.height, batch: copies(kind) * pass.batch }
}

/// What a preset that serves a pass must reach, in words.
pub fn reach(pass: &Image) -> String {
    format!(
        "width {}, height {}, batch {} and {} tokens",
        pass.width.next_multiple_of(PIXEL_STEP),
        pass.height.next_multiple_of(PIXEL_STEP),
        pass.batch,
        pass.tokens.next_multiple_of(TOKENS_PER_PIECE)
    )
}

impl Profile {
    /// Why this profile can't serve a pass, in words; empty if it can. It must accept calls with and without
    /// the negative prompt, which A1111 leaves out of some steps, unless it is fixed: then another engine
    /// serves those calls.
    pub fn misfits(&self, pass: &Image, kind: Kind) -> Vec<String> {
        let copies = copies(kind);
        let rows = [
            ("width", pass.width, self.range("sample", 3).map(pixels)),
            ("height", pass.height, self.range("sample", 2).map(pixels)),
            ("batch", pass.batch, self.batch(copies)),
            (
                "tokens",
                positions(pass.tokens) / POSITIONS_PER_PIECE * TOKENS_PER_PIECE,
                self.range("encoder_hidden_states", 1)
                    .map(|length| length / POSITIONS_PER_PIECE * TOKENS_PER_PIECE),
            ),
        ];
        let misfit = |(name, value, Range { min, max, .. }): (&str, u64, Range)| {
            if value > max {
                Some(format!("{name} {value} is over {max}"))
            } else {
                (value < min).then(|| format!("{name} {value} is under {min}"))
            }
        };
        rows.into_iter().filter_map(misfit).collect()
    }

    /// The range of each dimension of a call: pixels of the image, calls in a batch, and positions of the text.
    pub fn ranges(&self) -> Vec<(&'static str, Range)> {
        vec![
            ("width", self.range("sample", 3).map(pixels)),
            ("height", self.range("sample", 2).map(pixels)),
            ("batch", self.range("sample", 0)),
            ("tokens", self.range("encoder_hidden_states", 1)),
        ]
    }

    /// Images per batch: those that fit into one call together with the negative prompt and, in an open
    /// engine, those that fit into one with the prompt alone.
    fn batch(&self, copies: u64) -> Range {
        let calls = self.range("sample", 0);
        let images = calls.map(|calls| calls / copies);
        if self.is_fixed() { images } else { Range { min: calls.min, ..images } }
    }

    /// The range of one dimension of an input; empty if there is none.
    fn range(&self, input: &str, dimension: usize) -> Range {
        let at = |sizes: &[u64]| sizes.get(dimension).copied().unwrap_or_default();
        self.inputs.get(input).map_or(Range { min: 0, opt: 0, max: 0 }, |shapes| Range {
            min: at(&shapes.min),
            opt: at(&shapes.opt),
            max: at(&shapes.max),
        })
    }
}

/// Converts a latent's width or height to pixels.
fn pixels(latent: u64) -> u64 {
    latent * PIXELS_PER_LATENT
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use checkpoint::Architecture;
    use config::Config;

    use super::*;
    use crate::{family, samples::sd1};

    fn profile(preset: &str, kind: Kind) -> Profile {
        let architecture = Architecture { kind, ..sd1() };
        let presets = Config::default().presets_for("any", family(kind), Path::new("/m/a"));
        Profile::new(presets.iter().find(|found| found.name == preset).unwrap(), &architecture)
    }

    #[test]
    fn a_profile_says_which_passes_it_can_serve() {
        for (preset, kind, (width, height, batch, tokens), expected) in [
            ("default", Kind::Sd1, (512, 768, 1, 75), &[][..]),
            ("default", Kind::Sd1, (520, 600, 3, 20), &[]),
            ("default", Kind::Sd1, (768, 768, 4, 150), &[]),
            ("default", Kind::Sd1, (768, 1152, 1, 75), &["height 1152 is over 768"]),
            ("default", Kind::Sd1, (448, 512, 1, 75), &["width 448 is under 512"]),
            (
                "default",
                Kind::Sd1,
                (768, 768, 5, 151),
                &["batch 5 is over 4", "tokens 225 is over 150"],
            ),
            ("dynamic", Kind::Sd1, (1536, 2048, 2, 75), &[]),
            ("default", Kind::Sdxl, (1024, 1024, 1, 75), &[]),
            ("default", Kind::Sdxl, (512, 1024, 1, 75), &["width 512 is under 768"]),
            ("default", Kind::InstructPix2pix, (512, 512, 4, 75), &[]),
        ] {
            let pass = Image { width, height, batch, tokens, ..Image::default() };
            assert_eq!(profile(preset, kind).misfits(&pass, kind), expected, "{preset} {pass:?}");
        }
        let shape = Shape { width: 512, height: 768, batch: 4 };
        let fixed = Profile::fixed(&shape, &sd1());
        for ((width, height, batch, tokens), expected) in [
            ((512, 768, 2, 75), &[][..]),
            ((512, 768, 2, 300), &[]),
            ((512, 768, 1, 75), &["batch 1 is under 2"]),
            ((768, 768, 2, 301), &["width 768 is over 512", "tokens 375 is over 300"]),
        ] {
            let pass = Image { width, height, batch, tokens, ..Image::default() };
            assert_eq!(fixed.misfits(&pass, Kind::Sd1), expected, "{pass:?}");
        }
    }
}
