//! What an engine is called with, and what it gives.

use std::collections::BTreeMap;

use half::f16;

use crate::build::{Profile, Shapes};

/// A tensor of fp32 numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) shape: Vec<u64>,
    pub(super) values: Vec<f32>,
}

/// Inputs of one call by name.
pub(super) type Inputs = BTreeMap<String, Numbers>;

/// Always the same inputs of these shapes: numbers as fp16 has them, of mean 0 and variance 1, and a time step
/// in the middle of the schedule and of two whole ones.
pub(super) fn inputs(profile: &Profile, shape: impl Fn(&str, &Shapes) -> Vec<u64>) -> Inputs {
    let each = profile.inputs.iter().map(|(name, shapes)| {
        let shape = shape(name, shapes);
        let count = shape.iter().product::<u64>() as usize;
        let values = match name.as_str() {
            "timesteps" => vec![500.25; count],
            _ => noise(name, count),
        };
        (name.clone(), Numbers { shape, values })
    });
    each.collect()
}

/// Evenly spread over ±√3, which has the variance 1.
fn noise(name: &str, count: usize) -> Vec<f32> {
    let mut bytes = vec![0; 2 * count];
    blake3::Hasher::new_derive_key(name).finalize_xof().fill(&mut bytes);
    let spread = |bytes: &[u8; 2]| {
        let share = f32::from(u16::from_le_bytes(*bytes)) / f32::from(u16::MAX);
        f16::from_f32((2.0 * share - 1.0) * 3f32.sqrt()).to_f32()
    };
    bytes.as_chunks().0.iter().map(spread).collect()
}

/// ‖found − expected‖ / ‖expected‖; `None` where that is no number.
pub(super) fn relative_error(found: &Numbers, expected: &Numbers) -> Option<f64> {
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
    fn noise_is_the_same_each_time_and_of_variance_1() {
        let noise = noise("sample", 10_000);
        assert_eq!(noise, super::noise("sample", 10_000));
        assert_ne!(noise, super::noise("y", 10_000));
        let mean = noise.iter().sum::<f32>() / 1e4;
        let variance = noise.iter().map(|n| n * n).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn errors_are_relative_and_no_number_is_none() {
        let numbers = |values: &[f32]| Numbers { shape: vec![2], values: values.to_vec() };
        for (found, expected, error) in [
            ([3.0, 4.0], [3.0, 4.0], Some(0.0)),
            ([3.0, 4.5], [3.0, 4.0], Some(0.1)),
            ([f32::NAN, 4.0], [3.0, 4.0], None),
            ([f32::INFINITY, 4.0], [3.0, 4.0], None),
            ([1.0, 1.0], [0.0, 0.0], None),
        ] {
            assert_eq!(relative_error(&numbers(&found), &numbers(&expected)), error);
        }
        let other = Numbers { shape: vec![1, 2], values: vec![3.0, 4.0] };
        assert_eq!(relative_error(&other, &numbers(&[3.0, 4.0])), None);
    }
}
