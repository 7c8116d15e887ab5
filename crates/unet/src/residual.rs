//! Residuals: what ControlNets add to a UNet's skip connections and to the output of its middle block.

use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::graph::{Dimension, Input};
use crate::layers::Features;
use crate::precision::Precision;

/// The name of the input for the middle block.
const MIDDLE: &str = "residual.middle";

/// The dynamic height and width of features by how often they have been halved.
const SIZES: [[&str; 2]; 6] = [
    ["height", "width"],
    ["height_2", "width_2"],
    ["height_4", "width_4"],
    ["height_8", "width_8"],
    ["height_16", "width_16"],
    ["height_32", "width_32"],
];

/// An input that is added to one skip connection, or to the middle block's output. Zeros change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual {
    /// `residual.N` for the skip connection from `input_blocks.N`, or `residual.middle`.
    pub name: String,
    /// The number of its channels.
    pub channels: u64,
    /// How often its height and width are the latent's halved, rounded up each time.
    pub halvings: usize,
}

impl Residual {
    /// The shape beside a latent of the shape [batch, channels, height, width]; empty if that is none.
    #[must_use]
    pub fn shape(&self, sample: &[u64]) -> Vec<u64> {
        let &[batch, _, height, width] = sample else { return Vec::new() };
        let halved = |size| (0..self.halvings).fold(size, |size: u64, _| size.div_ceil(2));
        vec![batch, self.channels, halved(height), halved(width)]
    }

    pub(crate) fn input(&self, precision: Precision) -> Input {
        use Dimension::{Dynamic, Fixed};
        let [height, width] = SIZES[self.halvings.min(SIZES.len() - 1)];
        let dimensions =
            vec![Dynamic("batch"), Fixed(self.channels), Dynamic(height), Dynamic(width)];
        Input { name: self.name.clone(), dtype: precision.dtype(), dimensions }
    }
}

impl Builder<'_> {
    /// Adds a residual to a skip connection from this input block, if the graph has residuals.
    pub(crate) fn add_to_skip(
        &mut self,
        block: usize,
        skip: &Features,
        halvings: usize,
    ) -> Result<Features, Error> {
        self.with_residual(format!("residual.{block}"), skip, halvings)
    }

    /// Adds a residual to the middle block's output, if the graph has residuals.
    pub(crate) fn add_to_middle(
        &mut self,
        middle: &Features,
        halvings: usize,
    ) -> Result<Features, Error> {
        self.with_residual(MIDDLE.to_owned(), middle, halvings)
    }

    fn with_residual(
        &mut self,
        name: String,
        to: &Features,
        halvings: usize,
    ) -> Result<Features, Error> {
        let Some(residuals) = &mut self.residuals else { return Ok(to.clone()) };
        if halvings >= SIZES.len() {
            return Err(Error::Halved { halvings });
        }
        let channels = to.channels;
        residuals.push(Residual { name: name.clone(), channels, halvings });
        let value = self.add(&name, &to.value, &Value::new(&name));
        Ok(Features { value, channels })
    }
}
