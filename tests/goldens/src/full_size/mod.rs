//! Checkpoints with the names and shapes of real ones.

mod text;
mod unet;
mod vae;

use crate::manifest::{Dtype, Manifest, TensorSpec};

/// SD 1.5, F16: UNet, CLIP text encoder and VAE, about 2.1 GB. It has no cases.
#[must_use]
pub fn full_size_sd15(seed: u64) -> Manifest {
    let mut names = Names::default();
    unet::sd15().tensors(&mut names);
    text::clip(&mut names, "cond_stage_model.transformer.");
    vae::tensors(&mut names);
    Manifest::new("sd15", seed, Dtype::F16, names.sorted())
}

/// SDXL base, F16: UNet, both text encoders and VAE, about 6.9 GB. It has no cases.
#[must_use]
pub fn full_size_sdxl(seed: u64) -> Manifest {
    let mut names = Names::default();
    unet::sdxl().tensors(&mut names);
    text::clip(&mut names, "conditioner.embedders.0.transformer.");
    text::open_clip(&mut names, "conditioner.embedders.1.model.");
    vae::tensors(&mut names);
    Manifest::new("sdxl-full", seed, Dtype::F16, names.sorted())
}

/// The same for inpainting: its UNet takes a mask and the masked image too.
#[must_use]
pub fn inpainting(mut checkpoint: Manifest) -> Manifest {
    const FIRST: &str = "model.diffusion_model.input_blocks.0.0.weight";
    let first = checkpoint.tensors.iter_mut().filter(|tensor| tensor.0 == FIRST);
    for TensorSpec(_, shape) in first {
        shape[1] = 9;
    }
    checkpoint.name.push_str("-inpaint");
    checkpoint
}

/// Collects names and shapes, layer by layer.
#[derive(Default)]
struct Names(Vec<TensorSpec>);

impl Names {
    fn tensor(&mut self, name: String, shape: &[usize]) {
        self.0.push(TensorSpec(name, shape.to_vec()));
    }

    /// A weight with one bias per output.
    fn layer(&mut self, name: &str, weight: &[usize]) {
        self.tensor(format!("{name}.weight"), weight);
        self.tensor(format!("{name}.bias"), &weight[..1]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.layer(name, &[channels]);
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.layer(name, &[outputs, inputs]);
    }

    fn conv(&mut self, name: &str, inputs: usize, outputs: usize, kernel: usize) {
        self.layer(name, &[outputs, inputs, kernel, kernel]);
    }

    fn sorted(mut self) -> Vec<TensorSpec> {
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        self.0
    }
}
