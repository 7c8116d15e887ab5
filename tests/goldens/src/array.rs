//! A case's inputs and outputs.

use std::collections::BTreeMap;

/// An fp32 array, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements, as many as the product of the dimensions.
    pub values: Vec<f32>,
}

impl Array {
    /// ‖self − expected‖ / ‖expected‖, computed in f64; infinite if the shapes differ, and NaN if either has
    /// a NaN, so that it is within no tolerance.
    #[must_use]
    pub fn relative_error(&self, expected: &Self) -> f64 {
        if self.shape != expected.shape {
            return f64::INFINITY;
        }
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let pairs = self.values.iter().zip(&expected.values);
        let difference = norm(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
        difference / norm(&mut expected.values.iter().map(|v| f64::from(*v)))
    }

    /// Every `step`-th row and column of its last two dimensions, starting with the first.
    pub(crate) fn every(&self, step: usize) -> Self {
        let [.., height, width] = self.shape[..] else { return self.clone() };
        let rows = self.values.chunks(width).enumerate();
        let rows = rows.filter(|(row, _)| (row % height).is_multiple_of(step));
        let values = rows.flat_map(|(_, row)| row.iter().step_by(step).copied()).collect();
        let mut shape = self.shape.clone();
        let planes = shape.len() - 2;
        shape[planes..].copy_from_slice(&[height.div_ceil(step), width.div_ceil(step)]);
        Self { shape, values }
    }
}

/// One call of the UNet: its inputs by name (`sample`, `timesteps`, `encoder_hidden_states` and,
/// for SDXL, `y`).
pub type Case = BTreeMap<String, Array>;
