//! The file beside `unet.onnx` that it reads its weights from.
//!
//! onnx opens neither a symbolic link nor a file with several hard links, so that a model from elsewhere can't
//! read what its folder only refers to; ONNX Runtime opens no symbolic link that leads out of the folder.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf, absolute},
};

use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ONNX, Source, aside, converted, copy};

/// The file's name if ONNX can't contain the checkpoint's own.
const PLAIN_NAME: &str = "checkpoint.safetensors";

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Storage {
    /// A copy that shares the checkpoint's blocks on the disk, as long as neither is changed.
    Reflink,
    /// A copy of the checkpoint.
    Copy,
    /// A symbolic link to the checkpoint.
    Link,
    /// The weights alone, in the graph's precision: the checkpoint stores them in a way that ONNX doesn't read.
    Converted,
    /// What was there already: the checkpoint itself, or a file with the same content.
    Existing,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reflink => "a copy that takes no space of its own",
            Self::Copy => "a copy of the checkpoint",
            Self::Link => "a link to the checkpoint, which onnx and ONNX Runtime do not open",
            Self::Converted => "in its precision, converted from the checkpoint's",
            Self::Existing => "which was there already",
        })
    }
}

/// The checkpoint's own name if ONNX can contain it: it is UTF-8, and onnx takes no `..` in it for the folder above.
pub(super) fn name(source: &Path) -> &str {
    let is_fit = |name: &&str| ![ONNX, converted::NAME].contains(name) && !name.contains("..");
    source.file_name().and_then(OsStr::to_str).filter(is_fit).unwrap_or(PLAIN_NAME)
}

/// Makes `dir/name` a file with the checkpoint's content and no other name. A file that is one already stays; that
/// includes the checkpoint itself, if the output folder is its own.
pub(super) fn copy(source: &Source<'_>, dir: &Path, name: &str) -> Result<Storage> {
    let place = dir.join(name);
    if let Some(found) = found(&place)? {
        if is_usable(source, &place, &found)? {
            return Ok(Storage::Existing);
        }
        refuse_unless_link(&place, &found)?;
    }
    copy::copy(source, dir, &place, copy::reflink)
}

/// Whether onnx can read the weights from what stands at `place`.
fn is_usable(source: &Source<'_>, place: &Path, found: &Metadata) -> Result<bool> {
    let elsewhere = "export to another folder, or choose --link for a program that opens it";
    if found.is_symlink() {
        if target(source.path)? == target(place)? {
            bail!(
                "{} is a symbolic link, which onnx and ONNX Runtime do not open; {elsewhere}",
                place.display()
            );
        }
        return Ok(false);
    }
    let opened = source.checkpoint.file();
    let is_equal = is_same_file(&opened.metadata()?, found)
        || found.is_file() && copy::is_equal(opened, place)?;
    if is_equal && found.nlink() > 1 {
        bail!("{} has other hard links, so onnx does not open it; {elsewhere}", place.display());
    }
    Ok(is_equal)
}

/// Makes `dir/name` lead to the checkpoint. A path that already leads there stays; that includes
/// the checkpoint itself, if the output folder is its own.
pub(super) fn link(source: &Path, dir: &Path, name: &str) -> Result<Storage> {
    let place = dir.join(name);
    if let Some(found) = found(&place)? {
        if leads_to(&place, source) {
            return Ok(if found.is_symlink() { Storage::Link } else { Storage::Existing });
        }
        refuse_unless_link(&place, &found)?;
    }
    let target = target(source)?;
    let linked = tempfile::Builder::new()
        .prefix(aside::PREFIX)
        .make_in(dir, |aside| symlink(&target, aside))
        .and_then(|aside| aside.persist(&place).map_err(|error| error.error));
    linked.with_context(|| format!("cannot create the link {}", place.display()))?;
    Ok(Storage::Link)
}

/// What stands at a path, links not followed.
fn found(place: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(place) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot access {}", place.display())),
    }
}

fn refuse_unless_link(place: &Path, found: &Metadata) -> Result<()> {
    if !found.is_symlink() {
        bail!(
            "{} already exists and is not what an export of this checkpoint writes; move it, or \
             choose another folder with --output",
            place.display()
        );
    }
    Ok(())
}

/// The absolute path of a file. Links to its folder are resolved; if it is a link itself, that
/// link is kept, because its owner may redirect it.
fn target(path: &Path) -> Result<PathBuf> {
    let resolved = || -> io::Result<_> {
        let absolute = absolute(path)?;
        let parent = absolute.parent().map(fs::canonicalize).transpose()?;
        Ok(match (parent, absolute.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => absolute,
        })
    };
    resolved().with_context(|| path.display().to_string())
}

fn leads_to(place: &Path, source: &Path) -> bool {
    let both = (fs::metadata(place), fs::metadata(source));
    matches!(both, (Ok(place), Ok(source)) if is_same_file(&place, &source))
}

fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(test)]
mod tests;
