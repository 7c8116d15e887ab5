//! Builds a checkpoint's UNet as a graph, and writes it as ONNX.
//!
//! [`Graph::new`] derives everything from the tensors' names and shapes: the number of blocks, which
//! of them have transformers and how deep, where the resolution changes. [`Graph::to_onnx`] writes
//! the graph alone; the ONNX file refers to the weights in the `.safetensors` file itself.
//!
//! [`Graph::shared`] needs only names and shapes: the weights are inputs, and [`Graph::binding`]
//! says how each is derived from a model's parameters.
//!
//! [`Graph::with_residuals`] and [`Graph::shared_with_residuals`] build the same UNet with one more input for each skip
//! connection and for the middle block, to which ControlNets add.

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
mod residual;
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
pub use residual::Residual;

/// Version of the graph that this crate builds for a checkpoint. It is part of an engine's key, so
/// raise it with every change to the graph that can change an engine.
pub const RECIPE: u32 = 3;
