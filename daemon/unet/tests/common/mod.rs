//! Golden checkpoints in a temporary folder, as tensors and as graphs.

// Each test program uses a part of this.
#![allow(dead_code)]

pub(crate) mod runtime;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use checkpoint::{Checkpoint, Dtype, Tensor};
use goldens::Manifest;
use tempfile::TempDir;
use unet::{Form, Graph, Precision};

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

    /// In a file of this name, whose extension says in which format.
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

    /// Writes a graph beside the checkpoint.
    pub(crate) fn write(&self, graph: &Graph) -> Result<PathBuf> {
        let path = self.folder.path().join("unet.onnx");
        fs::write(&path, graph.to_onnx(self.file))?;
        Ok(path)
    }
}

/// A manifest's tensors as if they lay in a file, which is not written.
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
