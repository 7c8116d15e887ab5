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
    metadata::HeaderMetadata,
    names,
    quantised::{Quantised, Scaling},
    rejection::Rejection,
    shards,
    tensor::{Tensor, UNET_PREFIX},
};

/// A checkpoint file whose header has been read.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    /// All tensors, sorted by canonical name, but for [`beside`](Self::beside).
    pub tensors: Vec<Tensor>,
    quantised: Quantised,
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
        let formats = formats::tensors(&source);
        let read = formats.and_then(|(tensors, metadata)| parts(tensors, &metadata, &source));
        match read {
            Ok((tensors, quantised, architecture)) => {
                Ok(Self { source, tensors, quantised, architecture })
            }
            Err(rejection) => Err(shards::explain(rejection, &source, path)),
        }
    }

    /// The UNet's tensors, sorted by name: those under [`UNET_PREFIX`].
    pub fn unet(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX))
    }

    /// What a quantiser keeps beside the UNet's weights, sorted by name: scales and marks, which are no parameters.
    pub fn beside(&self) -> &[Tensor] {
        &self.quantised.beside
    }

    /// How the values of a tensor of the UNet follow from what is stored.
    pub fn scaling(&self, tensor: &Tensor) -> Scaling<'_> {
        self.quantised.scaling(tensor)
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
        let mut all: Vec<_> = self.tensors.iter().chain(self.beside()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let ids = hash::ids(&self.source, &all)?;
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

/// Tells the tensors of a file apart, and what they are.
fn parts(
    mut tensors: Vec<Tensor>,
    metadata: &HeaderMetadata,
    source: &Source,
) -> Result<(Vec<Tensor>, Quantised, Architecture), Rejection> {
    names::canonicalise(&mut tensors)?;
    let quantised = Quantised::set_aside(&mut tensors, metadata, source)?;
    let architecture = Architecture::read(&tensors, metadata)?;
    Ok((tensors, quantised, architecture))
}
