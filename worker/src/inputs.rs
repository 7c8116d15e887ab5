//! Test inputs for engines, and the comparison of outputs.

use std::{collections::BTreeMap, fmt};

use engine::{Profile, Shapes};
use half::f16;
use unet::Residual;

/// An fp32 array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<u64>,
    pub(super) values: Vec<f32>,
}

/// What the names of residuals begin with.
pub(super) const RESIDUALS: &str = "residual.";

/// The most values of a call's residuals, which take 4 bytes each here.
const MOST_RESIDUALS: u64 = 1 << 28;

/// The deviation of residuals.
const SMALL: f32 = 0.25;

/// One call's inputs by name.
pub(super) type Inputs = BTreeMap<String, Array>;

/// What one image of a batch gets as input. These patterns have found faults: noise alone never showed the
/// attention whose fp16 accumulation overflowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Noise at a late, middle or early timestep.
    Late,
    Middle,
    Early,
    /// A constant latent.
    Constant,
    /// A latent whose right half is constant.
    HalfFlat,
    /// One period of a cosine in each direction.
    Smooth,
    /// Noise, with a prompt embedding of five times the usual magnitude.
    LargeText,
}

impl Pattern {
    pub(super) const ALL: [Self; 7] = [
        Self::Middle,
        Self::Late,
        Self::Early,
        Self::Constant,
        Self::HalfFlat,
        Self::Smooth,
        Self::LargeText,
    ];

    /// The timestep. All are fractional, as with some samplers.
    fn step(self) -> f32 {
        match self {
            Self::Late => 20.25,
            Self::Early => 980.25,
            _ => 500.25,
        }
    }

    /// The latent's value at a position, given from 0 to 1 in each direction. `noise` is the value of noise
    /// there.
    fn latent(self, noise: f32, [down, across]: [f32; 2]) -> f32 {
        match self {
            Self::Late | Self::Middle | Self::Early | Self::LargeText => noise,
            Self::Constant => 0.3,
            Self::HalfFlat if across >= 0.5 => 0.4,
            Self::HalfFlat => noise,
            Self::Smooth => {
                (std::f32::consts::TAU * down).cos() * (std::f32::consts::TAU * across).cos()
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "noise late in the schedule",
            Self::Middle => "noise",
            Self::Early => "noise early in the schedule",
            Self::Constant => "a constant latent",
            Self::HalfFlat => "a latent that is flat in one half",
            Self::Smooth => "a smooth latent",
            Self::LargeText => "a text of five times the usual size",
        })
    }
}

/// Returns inputs of these shapes, always the same: the rows of a batch take the patterns in turn. All values
/// are exact in fp16; noise has mean 0 and variance 1.
pub(super) fn inputs(
    profile: &Profile,
    rows: &[Pattern],
    shape: impl Fn(&str, &Shapes) -> Vec<u64>,
) -> Inputs {
    let each = profile.inputs.iter().map(|(name, shapes)| {
        let shape = shape(name, shapes);
        let count = shape.iter().product::<u64>() as usize;
        let batch = shape.first().copied().unwrap_or(1).max(1) as usize;
        let mut values = noise(name, count);
        for (row, pattern) in values.chunks_mut((count / batch).max(1)).zip(rows.iter().cycle()) {
            match name.as_str() {
                "timesteps" => row.fill(pattern.step()),
                "sample" => draw(row, *pattern, &shape),
                "encoder_hidden_states" if *pattern == Pattern::LargeText => {
                    row.iter_mut().for_each(|value| *value *= 5.0);
                }
                _ => {}
            }
        }
        (name.clone(), Array { shape, values })
    });
    each.collect()
}

/// Whether a call's residuals would take too much of the machine's memory.
pub(super) fn are_too_many(inputs: &Inputs, residuals: &[Residual]) -> bool {
    let Some(sample) = inputs.get("sample") else { return false };
    let sizes = residuals.iter().map(|each| each.shape(&sample.shape).iter().product::<u64>());
    sizes.sum::<u64>() > MOST_RESIDUALS
}

/// Adds what ControlNets might: small noise to every other image, beginning with the first, and zeros to the rest.
pub(super) fn add_residuals(inputs: &mut Inputs, residuals: &[Residual]) {
    let sample = inputs.get("sample").map(|sample| sample.shape.clone()).unwrap_or_default();
    for residual in residuals {
        let shape = residual.shape(&sample);
        let count = shape.iter().product::<u64>() as usize;
        let batch = shape.first().copied().unwrap_or(1).max(1) as usize;
        let mut values = noise(&residual.name, count);
        let factors = [SMALL, 0.0].into_iter().cycle();
        for (image, factor) in values.chunks_mut((count / batch).max(1)).zip(factors) {
            image.iter_mut().for_each(|value| *value = f16::from_f32(*value * factor).to_f32());
        }
        inputs.insert(residual.name.clone(), Array { shape, values });
    }
}

/// Replaces a latent [channels, height, width] of noise by this pattern.
fn draw(latent: &mut [f32], pattern: Pattern, shape: &[u64]) {
    let &[.., height, width] = shape else { return };
    for (index, value) in latent.iter_mut().enumerate() {
        let (row, column) = (index as u64 / width % height, index as u64 % width);
        let place = [row as f32 / height as f32, column as f32 / width as f32];
        *value = f16::from_f32(pattern.latent(*value, place)).to_f32();
    }
}

/// Uniform noise in ±√3, which has variance 1.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let mut bytes = vec![0; 2 * count];
    blake3::Hasher::new_derive_key(name).finalize_xof().fill(&mut bytes);
    let spread = |bytes: &[u8; 2]| {
        let share = f32::from(u16::from_le_bytes(*bytes)) / f32::from(u16::MAX);
        f16::from_f32((2.0 * share - 1.0) * 3f32.sqrt()).to_f32()
    };
    bytes.as_chunks().0.iter().map(spread).collect()
}

/// ‖found − expected‖ / ‖expected‖; `None` if the shapes differ or that is not finite.
pub(super) fn relative_error(found: &Array, expected: &Array) -> Option<f64> {
    if found.shape != expected.shape {
        return None;
    }
    let square = |number: f64| number * number;
    let pairs = found.values.iter().zip(&expected.values);
    let off: f64 = pairs.map(|(f, e)| square(f64::from(*f) - f64::from(*e))).sum();
    let whole: f64 = expected.values.iter().map(|e| square(f64::from(*e))).sum();
    let error = (off / whole).sqrt();
    error.is_finite().then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_reproducible_and_has_variance_1() {
        let noise = noise("sample", 10_000);
        assert_eq!(noise, super::noise("sample", 10_000));
        assert_ne!(noise, super::noise("y", 10_000));
        let mean = noise.iter().sum::<f32>() / 1e4;
        let variance = noise.iter().map(|n| n * n).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn each_row_has_its_pattern() {
        let shapes =
            |shape: &[u64]| Shapes { min: shape.into(), opt: shape.into(), max: shape.into() };
        let all = [
            ("sample", &[8, 1, 2, 4][..]),
            ("timesteps", &[8]),
            ("encoder_hidden_states", &[8, 1, 2]),
        ];
        let profile =
            Profile { inputs: all.map(|(name, shape)| (name.to_owned(), shapes(shape))).into() };
        let inputs = inputs(&profile, &Pattern::ALL, |_, shapes| shapes.max.clone());
        let steps = [500.25, 20.25, 980.25, 500.25, 500.25, 500.25, 500.25, 500.25];
        assert_eq!(inputs["timesteps"].values, steps);

        let latents: Vec<&[f32]> = inputs["sample"].values.chunks(8).collect();
        let [flat, edge] = [0.3, 0.4].map(|value| f16::from_f32(value).to_f32());
        assert_eq!(latents[3], [flat; 8]);
        for row in latents[4].chunks(4) {
            assert!(
                row[..2].iter().all(|value| *value != edge) && row[2..] == [edge; 2],
                "{row:?}"
            );
        }
        assert_eq!(
            (latents[5][0], latents[5][6]),
            (1.0, 1.0),
            "cosines in steps of a half and a quarter"
        );
        let noise = noise("sample", 64);
        for row in [0, 1, 2, 6, 7] {
            assert_eq!(latents[row], &noise[8 * row..][..8], "row {row}");
        }
        let text = |row: usize| &inputs["encoder_hidden_states"].values[2 * row..][..2];
        let usual = super::noise("encoder_hidden_states", 16);
        assert_eq!((text(5), text(6)), (&usual[10..12], &[5.0 * usual[12], 5.0 * usual[13]][..]));
    }

    #[test]
    fn every_other_image_has_small_residuals() {
        let array = |shape: &[u64]| Array { shape: shape.to_vec(), values: Vec::new() };
        let mut inputs = Inputs::from([("sample".to_owned(), array(&[3, 4, 5, 8]))]);
        let residual = |name: &str, channels, halvings| Residual {
            name: format!("{RESIDUALS}{name}"),
            channels,
            halvings,
        };
        add_residuals(&mut inputs, &[residual("0", 6, 0), residual("middle", 2, 2)]);
        let found = |name: &str| &inputs[&format!("{RESIDUALS}{name}")];
        assert_eq!(found("0").shape, [3, 6, 5, 8]);
        assert_eq!(found("middle").shape, [3, 2, 2, 2], "halved twice, rounded up");
        let images: Vec<&[f32]> = found("middle").values.chunks(8).collect();
        let is_small = |image: &[f32]| {
            image.iter().all(|value| value.abs() <= 0.5) && image.iter().any(|value| *value != 0.0)
        };
        assert!(is_small(images[0]) && is_small(images[2]), "{images:?}");
        assert_eq!(images[1], [0.0; 8]);
        assert_ne!(images[0], images[2]);

        let of = |size| Inputs::from([("sample".to_owned(), array(&[8, 4, size, size]))]);
        let first = [residual("0", 320, 0)];
        assert!(!are_too_many(&of(128), &first) && are_too_many(&of(512), &first));
    }

    #[test]
    fn errors_are_relative_and_none_unless_finite() {
        let array = |values: &[f32]| Array { shape: vec![2], values: values.to_vec() };
        for (found, expected, error) in [
            ([3.0, 4.0], [3.0, 4.0], Some(0.0)),
            ([3.0, 4.5], [3.0, 4.0], Some(0.1)),
            ([f32::NAN, 4.0], [3.0, 4.0], None),
            ([f32::INFINITY, 4.0], [3.0, 4.0], None),
            ([1.0, 1.0], [0.0, 0.0], None),
        ] {
            assert_eq!(relative_error(&array(&found), &array(&expected)), error);
        }
        let other = Array { shape: vec![1, 2], values: vec![3.0, 4.0] };
        assert_eq!(relative_error(&other, &array(&[3.0, 4.0])), None);
    }
}
