//! How the inputs of a graph without weights are made of a model's parameters.

use serde::{Deserialize, Serialize};

/// Version of [`Binding`]'s meaning. Whoever runs an engine refuses another one.
pub const BINDING_VERSION: u32 = 1;

/// The inputs of an engine that are weights. It belongs to the engine, and whoever runs that follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// [`BINDING_VERSION`].
    pub version: u32,
    /// One for each input, in the graph's order.
    pub inputs: Vec<Bound>,
}

/// One input, always in the graph's precision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The input's name.
    pub name: String,
    /// The input's dimensions, outermost first.
    pub shape: Vec<u64>,
    /// The parameters that it is made of, by the names that front ends give them: without the
    /// checkpoint's prefix. Several are joined along their first dimension.
    pub parts: Vec<String>,
    /// How the numbers lie.
    pub layout: Layout,
}

/// How an input's numbers lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// As the parameters' own, row-major.
    Plain,
    /// A convolution's weight [outputs, inputs, height, width] as [outputs, height, width, inputs], which
    /// is what torch calls `channels_last`. Kernels read it so; otherwise each call would transpose it.
    Ohwi,
}
