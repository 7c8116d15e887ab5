//! A checkpoint's UNet as a graph, and its ONNX form.
//!
//! [`Graph::new`] reads everything from the tensors' names and shapes: how many blocks there are,
//! which of them have transformers and how deep, where the resolution changes. [`Graph::to_onnx`]
//! writes the graph alone; the weights stay where they are, and the ONNX file points at them in
//! the `.safetensors` file itself.
//!
//! [`Graph::shared`] makes the same of names and shapes alone: the weights are inputs, and
//! [`Graph::binding`] says how each is made of a model's parameters.

mod binding;
mod blocks;
mod builder;
mod error;
#[cfg_attr(
    not(feature = "forms"),
    expect(dead_code, unreachable_pub, reason = "only the default is built otherwise")
)]
mod form;
#[cfg(feature = "forms")]
mod form_name;
mod graph;
mod joined;
mod layers;
mod model;
mod onnx;
mod precision;
mod weights;

pub use binding::{BINDING_VERSION, Binding, Bound, Layout};
pub use error::Error;
#[cfg(feature = "forms")]
pub use form::{
    Attention, Form, Gelu, GroupNorm, Linear, Norms, Pointwise, Projections, Scale, Softmax, Sums,
    Upsample, Values,
};
#[cfg(feature = "forms")]
pub use form_name::UnknownForm;
pub use graph::{Attribute, Data, Dimension, Graph, Initializer, Input, Node};
pub use precision::{Precision, UnknownPrecision};

/// Version of the graph that this crate makes of a checkpoint. It is part of an engine's key, and
/// is raised whenever the graph changes in any way that an engine could show.
pub const RECIPE: u32 = 3;
