//! The graph itself: operators, weights and constants, as ONNX names them.

use checkpoint::{Architecture, Dtype, Tensor};

use crate::binding::Binding;
use crate::error::Error;
use crate::form::Form;
use crate::model;
use crate::onnx;
use crate::precision::Precision;

/// A UNet as ONNX operators. The weights are not in it, only where they lie in their file.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub(crate) opset: i64,
    pub(crate) inputs: Vec<Input>,
    pub(crate) output: Input,
    pub(crate) nodes: Vec<Node>,
    pub(crate) initializers: Vec<Initializer>,
    pub(crate) binding: Option<Binding>,
}

/// An input or the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Name: `sample`, `timesteps`, `encoder_hidden_states`, `y`; `latent` for the output; of a weight that
    /// is an input as [`Binding`] has it.
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
    /// May differ from call to call: `batch`, `height`, `width`, `tokens`.
    Dynamic(&'static str),
}

/// One operator of the default ONNX domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique name: the layer's name in the checkpoint, a slash and the operator.
    pub name: String,
    /// Operator, such as `Conv`.
    pub operator: &'static str,
    /// Names of the values it takes.
    pub inputs: Vec<String>,
    /// Names of the values it makes.
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

/// A tensor that is part of the model: a weight of the checkpoint, or a constant of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initializer {
    /// A weight's name in the checkpoint, or `constant.` and what it is.
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
    /// Here.
    Inline(Vec<u8>),
}

impl Graph {
    /// The UNet among a checkpoint's `tensors`; the others are ignored.
    ///
    /// # Errors
    /// When the tensors are no UNet of this architecture: one is missing, has a shape or a type
    /// that does not fit, or would not be used.
    pub fn new(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Form::default(), false)
    }

    /// The same UNet in other operators, for measuring one form against another. An engine's key
    /// does not tell forms apart, so engines that are kept come from [`Graph::new`] only.
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
        model::build(architecture, tensors, precision, form, false)
    }

    /// The UNet that tensors of these names and shapes make, whatever they hold and are stored as: its
    /// weights are inputs, which [`Self::binding`] tells of.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn shared(
        architecture: &Architecture,
        tensors: &[Tensor],
        precision: Precision,
    ) -> Result<Self, Error> {
        model::build(architecture, tensors, precision, Form::default(), true)
    }

    /// The same in another form, as [`Graph::with_form`].
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
        model::build(architecture, tensors, precision, form, true)
    }

    /// The graph for this size alone of the dimension `name`, as [`Dimension::Dynamic`] has it. An engine
    /// of a graph whose batch, height and width are fixed has its kernels chosen when it is built.
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

    /// How the weights that are inputs are made of a model's parameters; `None` where they are in the
    /// checkpoint's file.
    #[must_use]
    pub fn binding(&self) -> Option<&Binding> {
        self.binding.as_ref()
    }

    /// The inputs: `sample` [batch, channels, height, width], `timesteps` `[batch]`,
    /// `encoder_hidden_states` [batch, tokens, width], for models that take one, `y` [batch, width], and
    /// the weights that are inputs. Height and width are the latent's, an eighth of the image's.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The output, `latent`: [batch, 4, height, width].
    #[must_use]
    pub fn output(&self) -> &Input {
        &self.output
    }

    /// The operators, each after those whose values it takes.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The weights and constants, in order of first use.
    #[must_use]
    pub fn initializers(&self) -> &[Initializer] {
        &self.initializers
    }

    /// The ONNX file. `weights_file` is the name of the checkpoint's `.safetensors` file, which
    /// must lie in the same folder, or a link to it must.
    #[must_use]
    pub fn to_onnx(&self, weights_file: &str) -> Vec<u8> {
        onnx::encode(self, weights_file)
    }
}
