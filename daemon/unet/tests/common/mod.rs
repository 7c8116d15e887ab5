//! Golden checkpoints in a temporary folder, as tensors and as graphs.

// Each test program uses a part of this.
#![allow(dead_code)]

pub(crate) mod runtime;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use checkpoint::{Architecture, Dtype, Heads, Kind, Tensor};
use goldens::Manifest;
use safetensors::SafeTensors;
use tempfile::TempDir;
use unet::{Form, Graph, Precision};

/// Name of every golden checkpoint's file.
pub(crate) const FILE: &str = "checkpoint.safetensors";

/// A golden checkpoint on disk.
pub(crate) struct Golden {
    pub manifest: Manifest,
    pub tensors: Vec<Tensor>,
    pub folder: TempDir,
}

impl Golden {
    pub(crate) fn new(manifest: Manifest) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(FILE);
        manifest.write_checkpoint(&path)?;
        let tensors = read(&fs::read(path)?)?;
        Ok(Self { manifest, tensors, folder })
    }

    pub(crate) fn load(name: &str) -> Result<Self> {
        Self::new(Manifest::load(name)?)
    }

    pub(crate) fn architecture(&self) -> Architecture {
        architecture(&self.manifest.name)
    }

    pub(crate) fn graph(&self, precision: Precision, form: Form) -> Result<Graph> {
        Ok(Graph::with_form(&self.architecture(), &self.tensors, precision, form)?)
    }

    /// Writes a graph beside the checkpoint.
    pub(crate) fn write(&self, graph: &Graph) -> Result<PathBuf> {
        let path = self.folder.path().join("unet.onnx");
        fs::write(&path, graph.to_onnx(FILE))?;
        Ok(path)
    }
}

/// The architecture of a golden checkpoint.
pub(crate) fn architecture(name: &str) -> Architecture {
    let (kind, in_channels, context_width, y_width, heads) = match name {
        "sd1" | "sd15" => (Kind::Sd1, 4, 768, None, Heads::Count(8)),
        "sd1-inpaint" => (Kind::Sd1Inpaint, 9, 768, None, Heads::Count(8)),
        "sd2" => (Kind::Sd2, 4, 1024, None, Heads::Width(64)),
        "sdxl" | "sdxl-full" => (Kind::Sdxl, 4, 2048, Some(2816), Heads::Width(64)),
        _ => (Kind::SdxlRefiner, 4, 1280, Some(2560), Heads::Width(64)),
    };
    Architecture { kind, in_channels, context_width, y_width, heads }
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

fn read(file: &[u8]) -> Result<Vec<Tensor>> {
    let (header, metadata) = SafeTensors::read_metadata(file)?;
    let data = (8 + header) as u64;
    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            safetensors::Dtype::F32 => Dtype::F32,
            other => bail!("{name} is {other:?}"),
        };
        let (start, end) = info.data_offsets;
        let shape = info.shape.iter().map(|dim| *dim as u64).collect();
        let (offset, bytes) = (data + start as u64, (end - start) as u64);
        tensors.push(Tensor { name: name.clone(), dtype, shape, offset, bytes });
    }
    Ok(tensors)
}
