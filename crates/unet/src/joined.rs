//! Weight inputs. The weights of linear layers with the same input rows are one input and one product; engine
//! builders merge them by themselves only where weights are constants.

use crate::binding::{Bound, Layout};
use crate::builder::{Builder, Value};
use crate::error::Error;
use crate::graph::{Attribute, Dimension, Input};
use crate::weights::full;

/// Several linear layers with the same input, joined into one.
pub(crate) struct Joined {
    /// The layers, without the UNet's prefix, in the order of their outputs.
    layers: Vec<String>,
    /// Each layer's output.
    outputs: Vec<Value>,
    /// Each layer's output channels.
    channels: Vec<u64>,
}

impl Joined {
    /// Returns the output of a layer, if it is one of these. Fails unless its weight has the shape `wanted`.
    pub(crate) fn output(&self, layer: &str, wanted: [u64; 2]) -> Result<Option<Value>, Error> {
        let Some(index) = self.layers.iter().position(|known| known == layer) else {
            return Ok(None);
        };
        if self.channels[index] != wanted[0] {
            let name = full(&format!("{layer}.weight"));
            let found = vec![self.channels[index], wanted[1]];
            return Err(Error::Shape { name, found, wanted: wanted.to_vec() });
        }
        Ok(Some(self.outputs[index].clone()))
    }

    /// Returns the outputs of all layers, each of which has the shape [outputs, inputs].
    pub(crate) fn all<const N: usize>(
        &self,
        outputs: u64,
        inputs: u64,
    ) -> Result<[Value; N], Error> {
        for layer in &self.layers {
            self.output(layer, [outputs, inputs])?;
        }
        Ok(std::array::from_fn(|index| self.outputs[index].clone()))
    }
}

impl Builder<'_> {
    /// Adds a weight input that consists of these tensors, concatenated along the first dimension.
    pub(crate) fn bound(
        &mut self,
        name: &str,
        shape: &[u64],
        parts: Vec<String>,
        layout: Layout,
    ) -> Value {
        let dimensions = shape.iter().copied().map(Dimension::Fixed).collect();
        let dtype = self.precision.dtype();
        self.weight_inputs.push(Input { name: name.to_owned(), dtype, dimensions });
        let (name, shape) = (name.to_owned(), shape.to_vec());
        let value = Value::new(&name);
        self.bound.push(Bound { name, shape, parts, layout });
        value
    }

    /// Joins `layers`, whose input is `rows` [rows, inputs], into one; `biased` if they have biases.
    pub(crate) fn join(
        &mut self,
        at: &str,
        rows: &Value,
        layers: Vec<String>,
        inputs: u64,
        biased: bool,
    ) -> Result<Joined, Error> {
        let parts = |part: &str| layers.iter().map(|layer| format!("{layer}.{part}")).collect();
        let (weights, biases): (Vec<String>, Vec<String>) = (parts("weight"), parts("bias"));
        let mut channels = Vec::with_capacity(layers.len());
        for layer in &layers {
            let outputs = self.weights.outputs(layer)?;
            self.weights.take(&format!("{layer}.weight"), &[outputs, inputs])?;
            if biased {
                self.weights.take(&format!("{layer}.bias"), &[outputs])?;
            }
            channels.push(outputs);
        }
        let sum = channels.iter().sum();
        let weight = self.bound(&format!("{at}.weight"), &[sum, inputs], weights, Layout::Plain);
        let bias = biased.then(|| self.bound(&format!("{at}.bias"), &[sum], biases, Layout::Plain));
        let product = self.multiply(at, rows, &weight, bias.as_ref());
        let sizes: Vec<i64> = channels.iter().map(|size| size.cast_signed()).collect();
        let sizes = self.ints(&format!("{at}.sizes"), &sizes);
        let outputs = self.split_into(at, &product, &sizes, layers.len());
        Ok(Joined { layers, outputs, channels })
    }

    /// Splits a value into `count` parts of these sizes along its second dimension.
    fn split_into(&mut self, at: &str, value: &Value, sizes: &Value, count: usize) -> Vec<Value> {
        if count == 1 {
            return vec![value.clone()];
        }
        let axis = [("axis", Attribute::Int(1))];
        self.op_of_many(at, "Split", &[value, sizes], count, &axis)
    }

    /// Adds a convolution's weight, in the layout that it has as an input where weights are inputs.
    pub(crate) fn kernel(&mut self, name: &str, shape: &[u64; 4]) -> Result<Value, Error> {
        let [outputs, channels, height, width] = *shape;
        if !self.shared || height * width == 1 {
            return self.weight(name, shape);
        }
        self.weights.take(name, shape)?;
        let lies = [outputs, height, width, channels];
        let value = self.bound(name, &lies, vec![name.to_owned()], Layout::Ohwi);
        Ok(self.transpose(name, &value, [0, 3, 1, 2]))
    }
}
