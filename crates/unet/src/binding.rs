//! How a shared engine's weight inputs are derived from a model's parameters.

use serde::{Deserialize, Serialize};

/// Version of [`Binding`]. A front end refuses an engine with any other.
pub const BINDING_VERSION: u32 = 1;

/// An engine's weight inputs. Whoever runs the engine fills them as this says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// [`BINDING_VERSION`].
    pub version: u32,
    /// One for each weight input, in the graph's order.
    pub inputs: Vec<Bound>,
}

/// One weight input, in the graph's precision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The input's name.
    pub name: String,
    /// The input's dimensions, outermost first.
    pub shape: Vec<u64>,
    /// The parameters that it consists of, by front ends' names: without the checkpoint's prefix. Several are
    /// concatenated along their first dimension.
    pub parts: Vec<String>,
    /// The order of the values in memory.
    pub layout: Layout,
}

/// The order of an input's values in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The same as the parameters': row-major.
    Plain,
    /// A convolution's weight [outputs, inputs, height, width] as [outputs, height, width, inputs], which
    /// torch calls `channels_last`. Kernels read it in this order; otherwise each call would transpose it.
    Ohwi,
}
