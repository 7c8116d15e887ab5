//! A checkpoint's UNet as `unet.onnx`.

mod aside;
mod converted;
mod copy;
mod weights;

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, absolute},
};

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, Stamp, Tensor};
use schemars::JsonSchema;
use serde::Serialize;
use unet::{Binding, Graph};

use crate::{
    args::{Export, Global},
    output,
    render::text,
};
use aside::Aside;
use weights::Storage;

const ONNX: &str = "unet.onnx";
const BINDING: &str = "unet.binding.json";

/// A graph that was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// The graph.
    onnx: String,
    /// The file that the graph reads its weights from; null if they are inputs.
    weights: Option<String>,
    /// What that file is.
    storage: Option<Storage>,
    /// The file that says how the weight inputs are derived from the checkpoint's tensors; null if the weights
    /// are in a file.
    binding: Option<String>,
    /// `fp16` or `fp32`.
    precision: String,
    /// Size of the graph.
    bytes: usize,
}

pub(super) fn run(global: &Global, export: &Export) -> Result<()> {
    let source = Source::open(&export.checkpoint)
        .with_context(|| export.checkpoint.display().to_string())?;
    let is_plain = source.checkpoint.parameters().all(|tensor| source.checkpoint.is_plain(tensor));
    ensure!(
        is_plain || !export.link,
        "{} stores its weights in a way that ONNX doesn't read, so they are converted; leave out --link",
        export.checkpoint.display()
    );
    let name = if is_plain { weights::name(&export.checkpoint) } else { converted::NAME };
    let graph =
        source.graph(export, is_plain).with_context(|| export.checkpoint.display().to_string())?;
    let dir = &export.output;
    fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the folder {}", dir.display()))?;
    let dir = absolute(dir)?;
    aside::clean(&dir);
    // What the graph needs first, so that a visible graph is complete.
    let binding = binding(&dir, graph.binding())?;
    let storage = if export.weights_as_inputs {
        None
    } else if !is_plain {
        let converted = converted::write(&source, &dir, export.precision);
        Some(converted.with_context(|| export.checkpoint.display().to_string())?)
    } else if export.link {
        Some(weights::link(source.path, &dir, name)?)
    } else {
        Some(weights::copy(&source, &dir, name)?)
    };
    let onnx = graph.to_onnx(name);
    let path = dir.join(ONNX);
    write(&dir, &path, &onnx)?;
    let exported = Exported {
        onnx: shown(&path),
        weights: storage.map(|_| shown(&dir.join(name))),
        storage,
        binding,
        precision: export.precision.to_string(),
        bytes: onnx.len(),
    };
    output::answer(global, &exported, render)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn render(exported: &Exported) -> String {
    let Exported { onnx, weights, storage, binding, precision, bytes } = exported;
    let (onnx, size) = (text::clean(onnx), text::size(*bytes as u64));
    let mut rendered = format!("{onnx}: {precision}, {size}; ");
    if let (Some(weights), Some(storage)) = (weights, storage) {
        rendered.push_str(&format!("reads its weights from {}, {storage}", text::clean(weights)));
    }
    if let Some(binding) = binding {
        let binding = text::clean(binding);
        rendered.push_str(&format!("its weights are inputs, which {binding} describes"));
    }
    rendered.push('\n');
    rendered
}

/// A checkpoint whose header has been read.
struct Source<'a> {
    path: &'a Path,
    checkpoint: Checkpoint,
    stamp: Stamp,
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let mut stamp = Stamp::default();
        let checkpoint = Checkpoint::open_if(path, |metadata| {
            stamp = Stamp::at(path, metadata);
            true
        })?;
        Ok(Self { path, checkpoint, stamp })
    }

    fn graph(&self, export: &Export, is_plain: bool) -> Result<Graph> {
        let checkpoint = &self.checkpoint;
        let tensors: Vec<Tensor> = match is_plain {
            true => checkpoint.parameters().cloned().collect(),
            false => converted::tensors(checkpoint, export.precision),
        };
        let make = if export.weights_as_inputs { Graph::shared } else { Graph::new };
        Ok(make(&checkpoint.architecture, &tensors, export.precision)?)
    }

    /// The rights of a file with its weights: it is as private as the checkpoint.
    fn mode(&self) -> io::Result<u32> {
        Ok(self.checkpoint.file().metadata()?.mode() & 0o666)
    }

    /// Whether the file itself is at `path`.
    fn is_at(&self, path: &Path) -> bool {
        let both = (self.checkpoint.file().metadata(), fs::metadata(path));
        matches!(both, (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino()))
    }

    /// Fails unless the file is still the one whose header was read.
    fn ensure_unchanged(&self) -> Result<()> {
        let named = || self.path.display().to_string();
        let metadata = self.checkpoint.file().metadata().with_context(named)?;
        ensure!(
            Stamp::at(self.path, &metadata).is_same_version(&self.stamp),
            "{} was changed while it was being copied; try again",
            named()
        );
        Ok(())
    }
}

/// Writes the description of a graph's weight inputs; without any, an older one would describe another graph.
fn binding(dir: &Path, binding: Option<&Binding>) -> Result<Option<String>> {
    let path = dir.join(BINDING);
    if let Some(binding) = binding {
        write(dir, &path, &serde_json::to_vec_pretty(binding)?)?;
        return Ok(Some(shown(&path)));
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete the older {}", path.display()))
        }
        _ => Ok(None),
    }
}

/// Written aside, so that it is never visible incomplete.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = || {
        // Readable by all, minus the umask.
        let aside = Aside::new(dir, 0o666)?;
        aside.file().write_all(bytes)?;
        aside.persist(path)?;
        File::open(dir)?.sync_all()
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_by_others() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("unet.onnx");
        fs::write(&path, "older").unwrap();
        write(temp.path(), &path, b"newer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_ne!(fs::metadata(&path).unwrap().mode() & 0o044, 0);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
