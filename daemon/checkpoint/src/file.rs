//! Reading at a position, and noticing that a file changed.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use crate::rejection::Rejection;

/// What changes whenever a file's content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) len: u64,
    modified: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        // Not the ctime: a rename or a new hard link changes it, and costs no second read.
        Self { len: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) }
    }
}

/// Opens a regular file. The type is asked for first: opening a pipe would wait for its writer.
pub(crate) fn open(path: &Path) -> Result<(File, Stamp), Rejection> {
    let unreadable = |source| Rejection::Unreadable { doing: "open it", source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Rejection::NotAFile);
    }
    let file = File::open(path).map_err(unreadable)?;
    let stamp = stamp(&file)?;
    Ok((file, stamp))
}

/// The stamp that the open file has now.
pub(crate) fn stamp(file: &File) -> Result<Stamp, Rejection> {
    match file.metadata() {
        Ok(metadata) => Ok(Stamp::from(&metadata)),
        Err(source) => Err(Rejection::Unreadable { doing: "ask for its size", source }),
    }
}

/// Fills the buffer from `offset`; the caller knows that the file was long enough.
pub(crate) fn read(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), Rejection> {
    file.read_exact_at(buffer, offset).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => Rejection::ChangedWhileRead,
        _ => Rejection::Unreadable { doing: "read it", source },
    })
}

/// Reads `len` bytes from `offset`; the caller has bounded `len`.
pub(crate) fn read_vec(file: &File, offset: u64, len: usize) -> Result<Vec<u8>, Rejection> {
    let mut bytes = vec![0; len];
    read(file, &mut bytes, offset)?;
    Ok(bytes)
}
