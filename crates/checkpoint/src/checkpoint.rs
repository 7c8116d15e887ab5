//! A checkpoint file whose header has been read.

use std::{
    fs::{File, Metadata},
    path::Path,
};

use crate::{
    architecture::Architecture,
    digests::{self, Digests},
    excerpt::Excerpt,
    extra::is_dropped,
    file::Source,
    formats::{self, Contents, Refused},
    hash,
    id::{Id, Ids},
    kinds,
    metadata::{HeaderMetadata, STATED_SHA256, TITLE},
    names::{self, Naming},
    numbers::{numbers, scale},
    quantised::{Quantised, Scaling},
    rejection::Rejection,
    remark::{self, Remark},
    shards,
    signature::signature,
    tensor::{Dtype, Tensor, UNET_PREFIX},
    view::Views,
};

/// A checkpoint file whose header has been read.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    views: Views,
    naming: Naming,
    /// All tensors, sorted by canonical name, but for [`beside`](Self::beside).
    pub tensors: Vec<Tensor>,
    quantised: Quantised,
    /// Its kind and dimensions, derived from the tensors' names and shapes.
    pub architecture: Architecture,
    refused: Refused,
    metadata: HeaderMetadata,
    /// Where a safetensors file's tensors start.
    data: Option<u64>,
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
        let contents = formats::contents(&source).and_then(|contents| parts(contents, &source));
        match contents {
            Ok((contents, naming, quantised, architecture)) => {
                let Contents { tensors, views, refused, metadata, data } = contents;
                Ok(Self {
                    source,
                    views,
                    naming,
                    tensors,
                    quantised,
                    architecture,
                    refused,
                    metadata,
                    data,
                })
            }
            Err(rejection) => Err(shards::explain(rejection, &source, path)),
        }
    }

    /// The UNet's tensors, sorted by name: those under [`UNET_PREFIX`], which the UNet id is over.
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

    /// The UNet's parameters, sorted by name: its tensors without those that front ends drop.
    pub fn parameters(&self) -> impl Iterator<Item = &Tensor> {
        self.unet().filter(|tensor| !is_dropped(tensor))
    }

    /// The UNet's [`signature()`].
    pub fn signature(&self) -> Id {
        signature(&self.architecture, self.parameters())
    }

    /// What its owner should know of it, from names and shapes alone.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = remark::remarks(&self.architecture, self.naming, &self.tensors);
        let Refused { by_a1111, by_comfyui } = self.refused.clone();
        remarks.extend(match (by_a1111, by_comfyui) {
            (Some(why), false) => Some(Remark::TorchFile(why)),
            (Some(why), true) => Some(Remark::TorchFileAnywhere(why)),
            (None, true) => Some(Remark::NotInComfyui),
            (None, false) => None,
        });
        remarks.extend(self.quantised.has_scales().then_some(Remark::Scaled));
        // They are kept for thousands of files, of which most have one or none.
        remarks.shrink_to_fit();
        remarks
    }

    /// Whether the values of a tensor of the UNet [lie in the file](Self::is_in_place) in one of the usual types.
    pub fn is_plain(&self, tensor: &Tensor) -> bool {
        self.is_in_place(tensor)
            && matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16)
            && self.scaling(tensor) == Scaling::Plain
    }

    /// Reads the values of a tensor of the UNet, in fp32; see [`decoded`](Self::decoded).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn values(&self, tensor: &Tensor) -> Result<Option<Vec<f32>>, Rejection> {
        self.decoded(tensor, &self.read(tensor)?, |by| self.read(by))
    }

    /// Returns the values, in fp32, of a tensor of the UNet of which `stored` is stored: that times its scale, whose bytes
    /// `read` returns. `None` if only its quantiser's own code tells.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn decoded<Bytes: AsRef<[u8]>, E>(
        &self,
        tensor: &Tensor,
        stored: &[u8],
        read: impl FnOnce(&Tensor) -> Result<Bytes, E>,
    ) -> Result<Option<Vec<f32>>, E> {
        let by = match self.scaling(tensor) {
            Scaling::Plain if tensor.dtype != Dtype::I8 => {
                return Ok(numbers(stored, tensor.dtype));
            }
            Scaling::By(by) => by,
            Scaling::Plain | Scaling::Unknown => return Ok(None),
        };
        let scales = numbers(read(by)?.as_ref(), by.dtype);
        let Some((mut values, scales)) = numbers(stored, tensor.dtype).zip(scales) else {
            return Ok(None);
        };
        let rows = tensor.shape.first().copied().unwrap_or(1);
        Ok(scale(&mut values, &scales, rows).then_some(values))
    }

    /// The open file, for reading tensors at their offsets, if [they lie there](Self::is_in_place).
    pub fn file(&self) -> &File {
        self.source.file()
    }

    /// Whether a tensor's bytes lie in the file as they are, at its offset.
    pub fn is_in_place(&self, tensor: &Tensor) -> bool {
        self.views.at(tensor.offset).is_none()
    }

    /// Reads a tensor of this checkpoint, wherever its bytes are, and returns them as if it were contiguous.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if the file has become shorter; [`Rejection::Unreadable`];
    /// [`Rejection::BadZip`] if its entry can't be inflated.
    pub fn read(&self, tensor: &Tensor) -> Result<Vec<u8>, Rejection> {
        self.views.read(&self.source, tensor)
    }

    /// Reads every tensor once, on all of rayon's threads, and computes the ids.
    ///
    /// # Errors
    /// [`Rejection::ChangedWhileRead`] if size or modification time have changed since [`open`](Self::open);
    /// [`Rejection::Unreadable`].
    pub fn ids(&self) -> Result<Ids, Rejection> {
        let mut all: Vec<_> = self.tensors.iter().chain(self.beside()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let ids = hash::ids(&self.source, &self.views, &all)?;
        self.source.check_unchanged()?;
        Ok(ids)
    }

    /// Reads the whole file once, and computes the hashes by which people know it.
    ///
    /// # Errors
    /// As [`ids`](Self::ids).
    pub fn digests(&self) -> Result<Digests, Rejection> {
        let digests = digests::digests(&self.source, self.data)?;
        self.source.check_unchanged()?;
        Ok(digests)
    }

    /// What the file calls itself.
    pub fn title(&self) -> Option<&str> {
        self.metadata.get(TITLE)
    }

    /// The SHA-256 of what follows the header, in hex after `0x`, as the file's maker has stated it.
    pub fn stated_sha256(&self) -> Option<&str> {
        self.metadata.get(STATED_SHA256)
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
    mut contents: Contents,
    source: &Source,
) -> Result<(Contents, Naming, Quantised, Architecture), Rejection> {
    let Contents { tensors, metadata, views, .. } = &mut contents;
    if let Some(offsets) = kinds::offsets(tensors) {
        return Err(Rejection::Other(offsets));
    }
    let naming = names::canonicalise(tensors)?;
    check_plain(tensors)?;
    let quantised = Quantised::set_aside(tensors, metadata, |tensor| views.read(source, tensor))?;
    let architecture = Architecture::read(tensors, metadata)?;
    Ok((contents, naming, quantised, architecture))
}

/// What only torch has: no front end runs a UNet with any.
const TORCH_ALONE: [&str; 9] =
    ["META", "SPARSE", "NESTED", "WRAPPED", "QINT8", "QUINT8", "QINT32", "QUINT4X2", "QUINT2X4"];

/// Fails if the UNet has a tensor that only torch has.
fn check_plain(tensors: &[Tensor]) -> Result<(), Rejection> {
    let mut unet = tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX));
    let Some(odd) = unet.find(|tensor| TORCH_ALONE.contains(&tensor.dtype.name())) else {
        return Ok(());
    };
    Err(match odd.dtype.name() {
        "META" => Rejection::NoData { how: "from torch's meta device" },
        kind => Rejection::NotPlain { tensor: odd.name.clone(), kind: kind.to_lowercase() },
    })
}
