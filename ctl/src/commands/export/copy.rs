//! Copies of a checkpoint.

use std::{
    fs::File,
    io::{self, Seek},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::fs::ioctl_ficlone;

use super::{Source, aside::Aside, weights::Storage};

/// Bytes compared at a time.
const CHUNK: usize = 1 << 20;

/// Has a file share all blocks of another, if their file system can.
pub(super) fn reflink(from: &File, to: &File) -> bool {
    ioctl_ficlone(to, from).is_ok()
}

/// Copies the checkpoint to `place` in `dir`, so that it is never visible incomplete.
pub(super) fn copy(
    source: &Source<'_>,
    dir: &Path,
    place: &Path,
    reflink: impl FnOnce(&File, &File) -> bool,
) -> Result<Storage> {
    let mut from = source.checkpoint.file();
    let copied = || {
        let aside = Aside::new(dir, source.mode()?)?;
        let shares = reflink(from, aside.file());
        if !shares {
            from.rewind()?;
            io::copy(&mut from, &mut aside.file())?;
        }
        Ok::<_, io::Error>((aside, if shares { Storage::Reflink } else { Storage::Copy }))
    };
    let cannot = || {
        let (from, to) = (source.path.display(), place.display());
        format!("cannot copy {from} to {to} (--link makes a link instead)")
    };
    let (aside, storage) = copied().with_context(cannot)?;
    source.ensure_unchanged()?;
    aside.persist(place).with_context(cannot)?;
    Ok(storage)
}

/// Whether the file at `path` has the same content.
pub(super) fn is_equal(file: &File, path: &Path) -> Result<bool> {
    let compared = || {
        let other = File::open(path)?;
        let len = file.metadata()?.len();
        if other.metadata()?.len() != len {
            return Ok(false);
        }
        let (mut ours, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
        for at in (0..len).step_by(CHUNK) {
            let count = CHUNK.min(usize::try_from(len - at).unwrap_or(CHUNK));
            let (ours, theirs) = (&mut ours[..count], &mut theirs[..count]);
            file.read_exact_at(ours, at)?;
            other.read_exact_at(theirs, at)?;
            if ours != theirs {
                return Ok(false);
            }
        }
        Ok::<_, io::Error>(true)
    };
    compared().with_context(|| format!("cannot read {}", path.display()))
}
