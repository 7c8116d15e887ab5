//! The layers of a UNet, of a few operators each.
//!
//! Features have the shape [batch, channels, height, width] between blocks and [rows, channels] inside
//! transformers, where a row is one position of one image of the batch.

mod attention;
mod basic;
mod embedding;
mod feed_forward;
mod norm;
mod resample;

pub(crate) use attention::Source;

use crate::builder::Value;
use crate::joined::Joined;

/// Features of the shape [batch, channels, height, width].
#[derive(Clone, Debug)]
pub(crate) struct Features {
    pub(crate) value: Value,
    pub(crate) channels: u64,
}

/// What every block takes besides its features.
pub(crate) struct Conditions {
    /// The batch size, shape `[1]`.
    pub(crate) batch: Value,
    /// The time embedding after its activation: [batch, `embedding_width`].
    pub(crate) embedding: Value,
    /// Width of the time embedding.
    pub(crate) embedding_width: u64,
    /// The prompt's tokens as rows: [batch · tokens, `context_width`].
    pub(crate) context: Value,
    /// Width of a token.
    pub(crate) context_width: u64,
    /// The time embedding's projections for all residual blocks, as one product; only where weights are
    /// inputs.
    pub(crate) shifts: Option<Joined>,
    /// How attention is split into heads.
    pub(crate) heads: checkpoint::Heads,
}
