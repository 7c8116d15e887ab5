//! Golden checkpoints, generated from small manifests.
//!
//! A manifest of a few kilobytes describes a whole checkpoint: it has the seed, the names and shapes of the
//! tensors and the inputs' shapes, and a counter-based generator computes every value.
//! `expected.safetensors`, beside the manifests in `tests/fixtures`, has the outputs of the original UNet
//! code on these checkpoints, computed in fp32. Some cases have latents that are hard for fp16 (`hard`), and
//! in some checkpoints the scores of attention overflow it (`overflow`, `overflow-scaled`).

mod array;
mod full_size;
mod generator;
mod lazy;
mod manifest;
mod outline;
pub mod pickle;
mod sample;
mod write;

pub use array::{Array, Case};
pub use full_size::{full_size_sd15, full_size_sdxl, inpainting};
pub use manifest::{Dtype, Manifest, TensorSpec, names};
