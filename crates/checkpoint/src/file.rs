//! Reads a file at any position, and notices if it changes.

use std::{
    borrow::Cow,
    fs::{self, File, Metadata},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::OFlags;

use crate::{rejection::Rejection, start::Start};

/// An open file.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    metadata: Metadata,
    start: Start,
}

impl Source {
    /// Opens a regular file, if it has the expected stamp. The type is checked first: opening a pipe would
    /// block until a writer opens it.
    pub(crate) fn open(
        path: &Path,
        is_expected: impl FnOnce(&Metadata) -> bool,
    ) -> Result<Self, Rejection> {
        let unreadable = |source| Rejection::Unreadable { doing: "open it", source };
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(Rejection::NotAFile);
        }
        // A pipe may have taken its place meanwhile.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = File::options().read(true).custom_flags(flags).open(path);
        let file = opened.map_err(unreadable)?;
        let metadata = metadata(&file)?;
        if !metadata.is_file() {
            return Err(Rejection::NotAFile);
        }
        if !is_expected(&metadata) {
            return Err(Rejection::ChangedWhileRead);
        }
        let start = Start::read(&file, metadata.len()).map_err(rejection)?;
        Ok(Self { file, metadata, start })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The file's size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.metadata.len()
    }

    /// Fails if the file changed since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<(), Rejection> {
        // Without the ctime, which a rename or a new hard link changes too.
        let stamp = |of: &Metadata| (of.len(), of.mtime(), of.mtime_nsec());
        if stamp(&metadata(&self.file)?) == stamp(&self.metadata) {
            Ok(())
        } else {
            Err(Rejection::ChangedWhileRead)
        }
    }

    /// Fills the buffer from `offset`; the caller has checked that the file is long enough.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Rejection> {
        match self.read_already(offset, buffer.len()) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => read(&self.file, buffer, offset)?,
        }
        Ok(())
    }

    /// Returns `len` bytes from `offset`; the caller has limited `len`.
    pub(crate) fn bytes(&self, offset: u64, len: usize) -> Result<Cow<'_, [u8]>, Rejection> {
        if let Some(bytes) = self.read_already(offset, len) {
            return Ok(bytes.into());
        }
        let mut bytes = vec![0; len];
        read(&self.file, &mut bytes, offset)?;
        Ok(bytes.into())
    }

    fn read_already(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self.start.bytes().get(usize::try_from(offset).ok()?..)?.get(..len)
    }
}

fn metadata(file: &File) -> Result<Metadata, Rejection> {
    file.metadata().map_err(|source| Rejection::Unreadable { doing: "read its size", source })
}

fn read(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), Rejection> {
    file.read_exact_at(buffer, offset).map_err(rejection)
}

fn rejection(source: io::Error) -> Rejection {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => Rejection::ChangedWhileRead,
        _ => Rejection::Unreadable { doing: "read it", source },
    }
}
