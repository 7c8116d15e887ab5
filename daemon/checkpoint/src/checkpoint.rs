//! A checkpoint file, opened and understood.

use std::{fs::File, path::Path};

use crate::{
    architecture::Architecture,
    file::{self, Stamp},
    formats, hash,
    id::Ids,
    names,
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// A checkpoint file, opened and understood; nothing but its header has been read.
#[derive(Debug)]
pub struct Checkpoint {
    file: File,
    stamp: Stamp,
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
        let (file, stamp) = file::open(path)?;
        let mut tensors = formats::tensors(&file, stamp.len)?;
        names::canonicalise(&mut tensors)?;
        let architecture = Architecture::of(&tensors)?;
        Ok(Self { file, stamp, tensors, architecture })
    }

    /// The UNet's tensors, sorted by name: those under [`UNET_PREFIX`].
    pub fn unet(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX))
    }

    /// The open file, for reading tensors at their offsets.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads every tensor once, on all of rayon's threads, and computes the ids.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if size or modification time are no longer those of
    /// [`open`](Self::open); [`Rejection::Unreadable`].
    pub fn ids(&self) -> Result<Ids, Rejection> {
        let ids = hash::ids(&self.file, &self.tensors)?;
        if file::stamp(&self.file)? != self.stamp {
            return Err(Rejection::ChangedWhileRead);
        }
        Ok(ids)
    }
}
