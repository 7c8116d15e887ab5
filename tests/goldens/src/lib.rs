//! Golden checkpoints, generated from small manifests.
//!
//! A manifest of a few kilobytes stands for a whole checkpoint: it holds the seed, the names and
//! shapes of the tensors and the inputs' shapes, and every value comes from a counter-based
//! generator. Beside the manifests in `tests/fixtures` lie the outputs of the original UNet code
//! on those checkpoints, computed in fp32: `expected.safetensors`. Some cases have latents that are hard for fp16 (`hard`), and some
//! checkpoints attention whose scores pass its range (`overflow`, `overflow-scaled`).

mod array;
mod full_size;
mod generator;
mod manifest;
pub mod pickle;
mod sample;
mod write;

pub use array::{Array, Case};
pub use full_size::{full_size_sd15, full_size_sdxl};
pub use manifest::{Dtype, Manifest, TensorSpec, names};
