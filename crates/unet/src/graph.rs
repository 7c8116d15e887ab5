//! The graph itself: operators, weights and constants, named as in ONNX.

use checkpoint::{Architecture, Dtype, Tensor};

use crate::binding::Binding;
use crate::builder::Variant;
use crate::error::Error;
#[cfg(feature = "forms")]
use crate::form::Form;
use crate::model;
use crate::onnx;
use crate::precision::Precision;
use crate::residual::Residual;

/// A UNet as ONNX operators. It has no weights, only their offsets in the checkpoint's file.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub(crate) opset: i64,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Input,
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: Vec<Initializer>,
    pub(crate) binding: Option<Binding>,
    pub(crate) residuals: Vec<Residual>,
}

/// An input or the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// `sample`, `timesteps`, `encoder_hidden_states` or `y`; `latent` for the output; the name of a
    /// [`Residual`]; the name in [`Binding`] for a weight input.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub dimensions: Vec<Dimension>,
}

/// One dimension of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The same in every call.
    Fixed(u64),
    /// Varies from call to call: `batch`, `height`, `width`, `tokens`; for residuals, `height_2` and so on: halved
    /// once, rounded up.
    Dynamic(&'static str),
}

/// One operator of the default ONNX domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique name: the layer's name in the checkpoint, a slash and the operator.
    pub name: String,
    /// Operator, such as `Conv`.
    pub operator: &'static str,
    /// Names of its input values.
    pub inputs: Vec<String>,
    /// Names of its output values.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The value of an operator's attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// FLOAT.
    Float(f32),
    /// INT.
    Int(i64),
    /// INTS.
    Ints(Vec<i64>),
    /// STRING.
    Text(&'static str),
}

/// A tensor that is part of the model: one of the checkpoint's weights, or a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initializer {
    /// The weight's name in the checkpoint, or `constant.` and a description.
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// The elements.
    pub data: Data,
}

/// Where an initializer's elements are; row-major, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// In the checkpoint's file.
    External {
        /// Position of the first byte, from the start of the file.
        offset: u64,
        /// Number of bytes.
        bytes: u64,
    },
    /// In the graph.
    Inline(Vec<u8>),
}

impl Graph {
    /// Builds the UNet among a checkpoint's `tensors`; the others are ignored.
    ///
    /// # Errors
    /// If the tensors are not a UNet of this architecture: one is missing, is unused, or has an unexpected
    /// shape or type.
    pub fn new(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Variant::default())
    }

    /// Builds the same UNet with [`Self::residuals`].
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn with_residuals(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        let variant = Variant { residuals: true, ..Variant::default() };
        model::build(architecture, tensors, precision, variant)
    }

    /// Builds the same UNet in another form, for measurements. An engine's key does not include the form, so
    /// engines that are kept must come from [`Graph::new`].
    ///
    /// # Errors
    /// As [`Graph::new`].
    #[cfg(feature = "forms")]
    pub fn with_form(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
        form: Form,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Variant { form, ..Variant::default() })
    }

    /// Builds the UNet of tensors with these names and shapes, whatever their values and types: its weights
    /// are inputs, described by [`Self::binding`].
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn shared(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Variant::shared())
    }

    /// Builds the same with [`Self::residuals`].
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn shared_with_residuals(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        model::build(
            architecture,
            tensors,
            precision,
            Variant { residuals: true, ..Variant::shared() },
        )
    }

    /// Builds the same in another form; see [`Graph::with_form`].
    ///
    /// # Errors
    /// As [`Graph::new`].
    #[cfg(feature = "forms")]
    pub fn shared_with_form(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
        form: Form,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Variant { form, ..Variant::shared() })
    }

    /// Checks that there is a graph, without keeping it: what this accepts can be built with weights as inputs.
    ///
    /// # Errors
    /// As [`Graph::new`], except for types.
    pub fn check(architecture: &Architecture, tensors: &[Tensor]) -> Result<(), Error> {
        model::build(architecture, tensors, Precision::Fp16, Variant::shared()).map(drop)
    }

    /// The dynamic dimensions: the name of each, an input that has it, and its index there.
    #[must_use]
    pub fn dynamic_dimensions(&self) -> Vec<(&'static str, String, usize)> {
        let mut found: Vec<(&'static str, String, usize)> = Vec::new();
        for input in &self.inputs {
            for (index, dimension) in input.dimensions.iter().enumerate() {
                if let Dimension::Dynamic(name) = dimension
                    && found.iter().all(|(known, ..)| known != name)
                {
                    found.push((name, input.name.clone(), index));
                }
            }
        }
        found
    }

    /// Fixes the dimension `name` at this size; see [`Dimension::Dynamic`]. With batch, height and width
    /// fixed, TensorRT chooses an engine's kernels when it is built.
    #[must_use]
    pub fn fixed(mut self, name: &str, size: u64) -> Self {
        let dimensions = self.inputs.iter_mut().chain([&mut self.output]);
        for dimension in dimensions.flat_map(|input| &mut input.dimensions) {
            if matches!(dimension, Dimension::Dynamic(found) if *found == name) {
                *dimension = Dimension::Fixed(size);
            }
        }
        self
    }

    /// How the weight inputs are derived from a model's parameters; `None` if the weights are in the
    /// checkpoint's file.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// What ControlNets add: one input for each skip connection, in the order of the input blocks, and one for the
    /// middle block. Empty unless the graph was built with them.
    #[must_use]
    pub fn residuals(&self) -> &[Residual] {
        &self.residuals
    }

    /// The inputs: `sample` [batch, channels, height, width], `timesteps` `[batch]`, `encoder_hidden_states`
    /// [batch, tokens, width], `y` [batch, width] if the model has it, the residuals, and the weight inputs. Height
    /// and width are the latent's, an eighth of the image's.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The output, `latent`: [batch, channels, height, width], of 4 channels for nearly all UNets.
    #[must_use]
    pub fn output(&self) -> &Input {
        &self.output
    }

    /// The operators in topological order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The weights and constants, in order of first use.
    #[must_use]
    pub fn initializers(&self) -> &[Initializer] {
        &self.initializers
    }

    /// Returns the ONNX file. `weights_file` is the name of the checkpoint's `.safetensors` file, which must
    /// be in the same folder, or have a link there.
    #[must_use]
    pub fn to_onnx(&self, weights_file: &str) -> Vec<u8> {
        onnx::encode(self, weights_file)
    }
}
