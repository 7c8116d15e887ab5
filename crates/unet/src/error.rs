//! Why a checkpoint has no graph.

use checkpoint::Dtype;

/// Why a checkpoint's tensors do not make up a UNet. Names include the UNet's prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A tensor that the UNet needs is missing.
    #[error(
        "its UNet lacks {name}, for which front ends would put zeros; copy or download it again"
    )]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// A tensor's shape does not fit the layers around it.
    #[error(
        "its UNet's {name} has the shape {found:?}, and the layers around it need {wanted:?}; not supported"
    )]
    Shape {
        /// The tensor's name.
        name: String,
        /// Its shape.
        found: Vec<u64>,
        /// The shape that fits.
        wanted: Vec<u64>,
    },
    /// Some tensors would not be used, so the graph would not be this UNet.
    #[error(
        "its UNet has {} that no known UNet has, such as {name}, and may compute something else with {}; not supported",
        if *.count == 1 { "a tensor".to_owned() } else { format!("{count} tensors") },
        if *.count == 1 { "it" } else { "them" }
    )]
    Unexpected {
        /// The first one's name, in name order.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor has a type that graphs can't compute with.
    #[error("{name} is stored as {dtype}: only F16, BF16 and F32 are supported")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// Its type.
        dtype: Dtype,
    },
    /// A layer's channels cannot be split evenly into its groups or heads.
    #[error(
        "its UNet's {name} has {channels} channels, which {divisor} does not divide; not supported"
    )]
    Indivisible {
        /// The layer's name.
        name: String,
        /// Its channels.
        channels: u64,
        /// The number of groups or heads, or the width of a head.
        divisor: u64,
    },
    /// There are too many sizes of features for residuals.
    #[error(
        "its UNet halves the latent's size {halvings} times or more, which no ControlNet does; leave `controlnet` out"
    )]
    Halved {
        /// How often.
        halvings: usize,
    },
}
