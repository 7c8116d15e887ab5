//! A case's inputs and outputs.

use std::collections::BTreeMap;

/// An f32 tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Elements, as many as the product of the dimensions.
    pub values: Vec<f32>,
}

impl Array {
    /// ‖self − expected‖ / ‖expected‖, computed in f64; infinite where the shapes differ, and NaN
    /// where either has a NaN, so that no comparison with a tolerance passes.
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
}

/// One call of the UNet: its inputs by name (`sample`, `timesteps`, `encoder_hidden_states` and,
/// for SDXL, `y`).
pub type Case = BTreeMap<String, Array>;
