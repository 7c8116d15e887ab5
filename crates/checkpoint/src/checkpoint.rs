//! A checkpoint file, opened and understood.

use std::{
    fs::{File, Metadata},
    path::Path,
};

use crate::{
    architecture::Architecture,
    file::Source,
    formats, hash,
    id::Ids,
    names,
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// A checkpoint file, opened and understood; of a big one nothing but its start has been read.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    /// All tensors, sorted by canonical name.
    pub tensors: Vec<Tensor>,
    /// What the tensors' names and shapes say it is.
    pub architecture: Architecture,
}

impl Checkpoint {
    /// Opens a safetensors file or a torch file (`.ckpt`); told apart by content, not by name.
    ///
    /// # Errors
    /// Anything but [`Rejection::ChangedWhileRead`] means that this content is of no use, or that
    /// the system would not let it be read.
    pub fn open(path: &Path) -> Result<Self, Rejection> {
        Self::open_if(path, |_| true)
    }

    /// As [`open`](Self::open), where the file is as expected when it is open.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if it is not; the others as well.
    pub fn open_if(
        path: &Path,
        is_expected: impl FnOnce(&Metadata) -> bool,
    ) -> Result<Self, Rejection> {
        let source = Source::open(path, is_expected)?;
        let mut tensors = formats::tensors(&source)?;
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
    /// [`Rejection::ChangedWhileRead`] if size or modification time are no longer those of
    /// [`open`](Self::open); [`Rejection::Unreadable`].
    pub fn ids(&self) -> Result<Ids, Rejection> {
        let ids = hash::ids(&self.source, &self.tensors)?;
        self.source.check_unchanged()?;
        Ok(ids)
    }
}
