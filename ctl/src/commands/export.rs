//! A checkpoint's UNet as `unet.onnx`, with the weights left in the checkpoint.

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf, absolute},
};

use anyhow::{Context, Result, bail};
use checkpoint::{Checkpoint, Tensor};
use schemars::JsonSchema;
use serde::Serialize;
use unet::{Graph, Precision};

use crate::{
    args::{Export, Global},
    output,
    render::text,
};

const ONNX: &str = "unet.onnx";

/// The link's name if ONNX can't contain the checkpoint's own, because it is not UTF-8.
const PLAIN_NAME: &str = "checkpoint.safetensors";

/// A graph that was written.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// The graph.
    onnx: String,
    /// The link to its weights.
    weights: String,
    /// `fp16` or `fp32`.
    precision: String,
    /// Size of the graph.
    bytes: usize,
}

pub(super) fn run(global: &Global, export: &Export) -> Result<()> {
    let source = &export.checkpoint;
    let name = weights_name(source);
    let onnx =
        graph(source, export.precision, name).with_context(|| source.display().to_string())?;
    let dir = &export.output;
    fs::create_dir_all(dir)
        .with_context(|| format!("cannot create the folder {}", dir.display()))?;
    let dir = absolute(dir)?;
    // The weights first, so that a visible graph is complete.
    link(source, &dir, name)?;
    let path = dir.join(ONNX);
    write(&dir, &path, &onnx).with_context(|| format!("cannot write {}", path.display()))?;
    let exported = Exported {
        onnx: path.to_string_lossy().into_owned(),
        weights: dir.join(name).to_string_lossy().into_owned(),
        precision: export.precision.to_string(),
        bytes: onnx.len(),
    };
    output::answer(global, &exported, render)
}

fn render(exported: &Exported) -> String {
    let Exported { onnx, weights, precision, bytes } = exported;
    let (onnx, weights) = (text::clean(onnx), text::clean(weights));
    let size = text::size(*bytes as u64);
    format!("{onnx}: {precision}, {size}; reads its weights from {weights}\n")
}

fn graph(source: &Path, precision: Precision, weights_name: &str) -> Result<Vec<u8>> {
    let checkpoint = Checkpoint::open(source)?;
    let tensors: Vec<Tensor> = checkpoint.unet().cloned().collect();
    Ok(Graph::new(&checkpoint.architecture, &tensors, precision)?.to_onnx(weights_name))
}

fn weights_name(source: &Path) -> &str {
    source.file_name().and_then(OsStr::to_str).filter(|name| *name != ONNX).unwrap_or(PLAIN_NAME)
}

/// Makes `dir/name` lead to the checkpoint. A path that already leads there stays; that includes
/// the checkpoint itself, if the output folder is its own.
fn link(source: &Path, dir: &Path, name: &str) -> Result<()> {
    let place = dir.join(name);
    match fs::symlink_metadata(&place) {
        Ok(_) if is_same_file(source, &place) => return Ok(()),
        Ok(found) if !found.is_symlink() => bail!(
            "{} already exists and is not a link made by an export; move it, or choose another \
             folder with --output",
            place.display()
        ),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot access {}", place.display()));
        }
    }
    let target = target(source).with_context(|| source.display().to_string())?;
    let linked = tempfile::Builder::new()
        .prefix(".link-")
        .make_in(dir, |aside| symlink(&target, aside))
        .and_then(|aside| aside.persist(&place).map_err(|error| error.error));
    linked.map(drop).with_context(|| format!("cannot create the link {}", place.display()))
}

/// The absolute path of the checkpoint. Links to its folder are resolved; if it is a link itself, that
/// link is kept, because its owner may redirect it.
fn target(source: &Path) -> Result<PathBuf> {
    let absolute = absolute(source)?;
    let parent = absolute.parent().map(fs::canonicalize).transpose()?;
    Ok(match (parent, absolute.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => absolute,
    })
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Written to a temporary file, synced and renamed, so that it is never visible incomplete.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut aside = tempfile::Builder::new()
        .prefix(".unet-")
        // Readable by all, minus the umask: temporary files are private by default.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)?;
    aside.write_all(bytes)?;
    aside.as_file().sync_all()?;
    aside.persist(path).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn the_name_is_one_that_onnx_can_hold() {
        for (path, expected) in [
            (&b"/m/sd15.safetensors"[..], "sd15.safetensors"),
            (b"/m/\xff.safetensors", PLAIN_NAME),
            (b"/m/unet.onnx", PLAIN_NAME),
        ] {
            assert_eq!(weights_name(Path::new(OsStr::from_bytes(path))), expected);
        }
    }

    #[test]
    fn a_link_is_made_replaced_and_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let (models, out) = (temp.path().join("models"), temp.path().join("out"));
        fs::create_dir(&models).unwrap();
        fs::create_dir(&out).unwrap();
        let (old, new) = (models.join("old"), models.join("new"));
        fs::write(&old, "old").unwrap();
        fs::write(&new, "new").unwrap();
        for source in [&old, &new, &new] {
            link(source, &out, "x").unwrap();
            assert_eq!(fs::read_link(out.join("x")).unwrap(), fs::canonicalize(source).unwrap());
        }
        // A link to nowhere is an older one too.
        fs::remove_file(&new).unwrap();
        link(&old, &out, "x").unwrap();
        assert_eq!(fs::read(out.join("x")).unwrap(), b"old");
        // Through the link that stands there: replacing it would leave a circle.
        link(&out.join("x"), &out, "x").unwrap();
        assert_eq!(fs::read(out.join("x")).unwrap(), b"old");
        // In the checkpoint's own folder.
        link(&old, &models, "old").unwrap();
        assert!(fs::symlink_metadata(&old).unwrap().is_file());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_link_is_never_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let source = temp.path().join("source");
        fs::write(&source, "source").unwrap();
        fs::write(temp.path().join("file"), "kept").unwrap();
        fs::create_dir(temp.path().join("folder")).unwrap();
        for name in ["file", "folder"] {
            let error = link(&source, temp.path(), name).expect_err(name).to_string();
            assert!(error.contains("already exists"), "{error}");
        }
        assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"kept");
    }

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
