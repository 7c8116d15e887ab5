//! Why a checkpoint has no graph.

use checkpoint::Dtype;

/// Why a checkpoint's tensors do not make a UNet. Names are full: with the UNet's prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A tensor that the UNet needs is not there.
    #[error("the checkpoint lacks {name}")]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// A tensor's shape does not fit the layers around it.
    #[error("{name} has the shape {found:?}, wanted {wanted:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<u64>,
        /// The shape that fits.
        wanted: Vec<u64>,
    },
    /// There are more tensors than the graph would use, so it would not be this UNet.
    #[error("the UNet has {count} tensors of no known use, the first of them {name}")]
    Unexpected {
        /// The first one's name, in name order.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor's type is not one that a graph computes from.
    #[error("{name} is stored as {dtype}: F16, BF16 and F32 are usable")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A layer's channels cannot be split evenly into its groups or heads.
    #[error("{name}: {channels} channels are no multiple of {divisor}")]
    Indivisible {
        /// The layer's name.
        name: String,
        /// Its channels.
        channels: u64,
        /// The number of groups or heads, or the width of a head.
        divisor: u64,
    },
}
