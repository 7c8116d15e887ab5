//! A checkpoint's UNet as a graph, and its ONNX form.
//!
//! [`Graph::new`] reads everything from the tensors' names and shapes: how many blocks there are,
//! which of them have transformers and how deep, where the resolution changes. [`Graph::to_onnx`]
//! writes the graph alone; the weights stay where they are, and the ONNX file points at them in
//! the `.safetensors` file itself.

mod blank;
mod blocks;
mod builder;
mod error;
mod form;
mod form_name;
mod graph;
mod layers;
mod model;
mod onnx;
mod precision;
mod weights;

pub use blank::blank;
pub use error::Error;
pub use form::{
    Attention, Form, Gelu, GroupNorm, Linear, Pointwise, Projections, Scale, Softmax, Sums,
    Upsample,
};
pub use form_name::UnknownForm;
pub use graph::{Attribute, Data, Dimension, Graph, Initializer, Input, Node};
pub use precision::{Precision, UnknownPrecision};

/// Version of the graph that this crate makes of a checkpoint. It is part of an engine's key, and
/// is raised whenever the graph changes in any way that an engine could show.
pub const RECIPE: u32 = 2;
