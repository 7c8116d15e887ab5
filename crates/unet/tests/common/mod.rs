//! Golden checkpoints in a temporary folder, as tensors and as graphs.

// Each test program uses only some of this.
#![allow(dead_code)]

pub(crate) mod runtime;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Dtype, Tensor, UNET_PREFIX};
use goldens::{Array, Case, Manifest};
use half::{bf16, f16};
use tempfile::TempDir;
use unet::{Binding, Bound, Form, Graph, Layout, Precision};

/// A golden checkpoint on disk.
pub(crate) struct Golden {
    pub manifest: Manifest,
    pub checkpoint: Checkpoint,
    folder: TempDir,
    file: &'static str,
}

impl Golden {
    pub(crate) fn new(manifest: Manifest) -> Result<Self> {
        Self::in_file(manifest, "checkpoint.safetensors")
    }

    /// Writes the checkpoint to a file of this name, whose extension decides the format.
    pub(crate) fn in_file(manifest: Manifest, file: &'static str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(file);
        manifest.write_checkpoint(&path)?;
        let checkpoint = Checkpoint::open(&path)?;
        Ok(Self { manifest, checkpoint, folder, file })
    }

    pub(crate) fn load(name: &str) -> Result<Self> {
        Self::new(Manifest::load(name)?)
    }

    pub(crate) fn graph(&self, precision: Precision, form: Form) -> Result<Graph> {
        let Checkpoint { architecture, tensors, .. } = &self.checkpoint;
        Ok(Graph::with_form(architecture, tensors, precision, form)?)
    }

    /// Computes the weight inputs from the checkpoint's tensors, as the binding says.
    pub(crate) fn weights(&self, binding: &Binding) -> Result<Case> {
        let file = fs::read(self.folder.path().join(self.file))?;
        let inputs = binding.inputs.iter().map(|Bound { name, shape, parts, layout }| {
            let parts = parts.iter().map(|part| self.part(&file, part, *layout));
            let values = parts.collect::<Result<Vec<_>>>()?.concat();
            let shape = shape.iter().map(|size| *size as usize).collect();
            Ok((name.clone(), Array { shape, values }))
        });
        inputs.collect()
    }

    fn part(&self, file: &[u8], name: &str, layout: Layout) -> Result<Vec<f32>> {
        let name = format!("{UNET_PREFIX}{name}");
        let tensor = self.checkpoint.unet().find(|tensor| tensor.name == name);
        let tensor = tensor.with_context(|| name.clone())?;
        let bytes = &file[tensor.offset as usize..][..tensor.bytes as usize];
        let values: Vec<f32> = match tensor.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => {
                bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
            }
            Dtype::Bf16 => {
                bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
            }
            other => anyhow::bail!("{name} is {other}"),
        };
        let (Layout::Ohwi, &[outputs, channels, height, width]) = (layout, &tensor.shape[..])
        else {
            return Ok(values);
        };
        let (channels, pixels) = (channels as usize, (height * width) as usize);
        let at = |output, pixel, channel| values[(output * channels + channel) * pixels + pixel];
        let each = (0..outputs as usize).flat_map(|output| {
            (0..pixels)
                .flat_map(move |pixel| (0..channels).map(move |channel| (output, pixel, channel)))
        });
        Ok(each.map(|(output, pixel, channel)| at(output, pixel, channel)).collect())
    }

    /// Writes a graph beside the checkpoint.
    pub(crate) fn write(&self, graph: &Graph) -> Result<PathBuf> {
        let path = self.folder.path().join("unet.onnx");
        fs::write(&path, graph.to_onnx(self.file))?;
        Ok(path)
    }
}

/// A manifest's tensors with the offsets that they would have in a file.
pub(crate) fn tensors(manifest: &Manifest) -> Vec<Tensor> {
    let mut end = 0;
    let tensors = manifest.tensors.iter().map(|tensor| {
        let shape: Vec<u64> = tensor.1.iter().map(|dim| *dim as u64).collect();
        let bytes = 2 * shape.iter().product::<u64>();
        end += bytes;
        let (name, offset) = (tensor.0.clone(), end - bytes);
        Tensor { name, dtype: Dtype::F16, shape, offset, bytes }
    });
    tensors.collect()
}
