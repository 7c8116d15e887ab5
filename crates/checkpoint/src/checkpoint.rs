//! A checkpoint file whose header has been read.

use std::{
    fs::{File, Metadata},
    path::Path,
};

use crate::{
    architecture::Architecture,
    excerpt::Excerpt,
    file::Source,
    formats, hash,
    id::Ids,
    names,
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// A checkpoint file whose header has been read.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    /// All tensors, sorted by canonical name.
    pub tensors: Vec<Tensor>,
    /// Its kind and dimensions, derived from the tensors' names and shapes.
    pub architecture: Architecture,
}

impl Checkpoint {
    /// Opens a safetensors or torch file (`.ckpt`), whichever the content is, regardless of its name.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if the file changed meanwhile; any other means that this content can't
    /// be used, or that the system can't read it.
    pub fn open(path: &Path) -> Result<Self, Rejection> {
        Self::open_if(path, |_| true)
    }

    /// Opens a file like [`open`](Self::open), if it still has the expected stamp.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if it does not; and those of [`open`](Self::open).
    pub fn open_if(
        path: &Path,
        is_expected: impl FnOnce(&Metadata) -> bool,
    ) -> Result<Self, Rejection> {
        let source = Source::open(path, is_expected)?;
        let (mut tensors, _) = formats::tensors(&source)?;
        names::canonicalise(&mut tensors)?;
        let architecture = Architecture::of(&tensors)?;
        Ok(Self { source, tensors, architecture })
    }

    /// The UNet's tensors, sorted by name: those under [`UNET_PREFIX`].
    pub fn unet(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX))
    }

    /// The open file, for reading tensors at their offsets.
    pub fn file(&self) -> &File {
        self.source.file()
    }

    /// Reads every tensor once, on all of rayon's threads, and computes the ids.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if size or modification time have changed since [`open`](Self::open);
    /// [`Rejection::Unreadable`].
    pub fn ids(&self) -> Result<Ids, Rejection> {
        let ids = hash::ids(&self.source, &self.tensors)?;
        self.source.check_unchanged()?;
        Ok(ids)
    }

    /// Reads what tells, later and most likely, whether the file still holds the same.
    ///
    /// # Errors
    /// [`Rejection::Unreadable`]; [`Rejection::ChangedWhileRead`] if size or modification time are no longer
    /// those of [`open`](Self::open).
    pub fn excerpt(&self) -> Result<Excerpt, Rejection> {
        let source = &self.source;
        let excerpt = Excerpt::take(source.len(), |buffer, at| source.read(buffer, at))?;
        source.check_unchanged()?;
        Ok(excerpt)
    }
}
