//! A checkpoint's weights, converted to fp16 for engines.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, Dtype, Sample, Scaling, Tensor, UNET_PREFIX, is_dropped, unet_id};
use engine::Inside;
use half::{f16, slice::HalfFloatSliceExt};
use memmap2::Mmap;
use thiserror::Error;
use unet::{Bound, Layout};

/// Weights that engines can't use, because they compute in fp16.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Unfit {
    #[error(
        "{tensor} holds {value}, which is outside the range of fp16 (±65504): engines compute in fp16, so this \
         checkpoint needs PyTorch"
    )]
    PastRange { tensor: String, value: String },
    #[error(
        "{tensor} is quantised in a way that only its own front end reads: the engine takes the weights from there, \
         and is validated with another checkpoint of its kind"
    )]
    Scaled { tensor: String },
}

/// The UNet's tensors of an open checkpoint, memory-mapped.
pub(super) struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    file: Mmap,
    tensors: HashMap<&'a str, &'a Tensor>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(checkpoint: &'a Checkpoint) -> Result<Self> {
        let named = |tensor: &'a Tensor| Some((tensor.name.strip_prefix(UNET_PREFIX)?, tensor));
        let tensors = checkpoint.unet().filter_map(named).collect();
        Ok(Self { checkpoint, file: map(checkpoint.file())?, tensors })
    }

    /// Returns the bytes of one of an engine's weight inputs, derived as the binding says.
    pub(super) fn input(&self, bound: &Bound) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for part in &bound.parts {
            let tensor = self.tensors.get(part.as_str());
            let tensor = tensor.with_context(|| {
                format!("the checkpoint lacks {UNET_PREFIX}{part}, which the engine needs")
            })?;
            let halves = self.halves(tensor)?;
            match bound.layout {
                Layout::Plain => bytes.extend_from_slice(&halves),
                Layout::Ohwi => bytes.extend_from_slice(&channels_last(&halves, &tensor.shape)),
            }
        }
        let expected = 2 * bound.shape.iter().product::<u64>();
        ensure!(
            bytes.len() as u64 == expected,
            "{} has {} bytes, but the engine expects {expected}",
            bound.name,
            bytes.len()
        );
        Ok(bytes)
    }

    /// Writes the UNet's tensors in fp16, one after the other, and says where each is now, and whose they are: each
    /// was read once, so that what is written is what was hashed, whatever happens to the file meanwhile.
    pub(super) fn write_halves(&self, path: &Path) -> Result<(Vec<Tensor>, Inside)> {
        let cannot = || format!("cannot write {}", path.display());
        let mut file = BufWriter::new(fs::File::create(path).with_context(cannot)?);
        let mut tensors: Vec<&Tensor> = self.tensors.values().copied().collect();
        tensors.sort_unstable_by_key(|tensor| tensor.offset);
        let mut offset = 0;
        let mut moved = Vec::with_capacity(tensors.len());
        let mut read = BTreeMap::new();
        for tensor in tensors {
            let stored = self.stored(tensor)?.into_owned();
            let digest: [u8; 32] = blake3::hash(&stored).into();
            if is_dropped(tensor) {
                read.insert(&*tensor.name, (tensor, digest, None));
                continue;
            }
            let halves = self.scaled_halves(stored, tensor)?;
            file.write_all(&halves).with_context(cannot)?;
            let first = halves[..halves.len().min(Sample::BYTES)].to_vec();
            read.insert(&*tensor.name, (tensor, digest, Some(first)));
            let bytes = halves.len() as u64;
            moved.push(Tensor { dtype: Dtype::F16, offset, bytes, ..tensor.clone() });
            offset += bytes;
        }
        file.flush().with_context(cannot)?;
        let mut digests: BTreeMap<_, _> =
            read.iter().map(|(name, (tensor, digest, _))| (*name, (*tensor, *digest))).collect();
        for beside in self.checkpoint.beside() {
            digests.insert(&beside.name, (beside, blake3::hash(&self.stored(beside)?).into()));
        }
        let unet = unet_id(digests.values().map(|(tensor, digest)| (*tensor, digest)));
        let mut sample = Sample::default();
        for (name, (_, _, first)) in &read {
            if let Some(first) = first {
                sample.add(name.strip_prefix(UNET_PREFIX).unwrap_or(name), first);
            }
        }
        Ok((moved, Inside { unet, sample: sample.id() }))
    }

    fn halves(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        self.scaled_halves(self.stored(tensor)?.into_owned(), tensor)
    }

    /// Converts what is stored to fp16, times its scale.
    fn scaled_halves(&self, stored: Vec<u8>, tensor: &Tensor) -> Result<Vec<u8>> {
        let checkpoint = self.checkpoint;
        if tensor.dtype == Dtype::F16 && checkpoint.scaling(tensor) == Scaling::Plain {
            return Ok(stored);
        }
        let values = checkpoint.decoded(tensor, &stored, |by| self.stored(by))?;
        let unfit = || Unfit::Scaled { tensor: tensor.name.clone() };
        rounded(&values.ok_or_else(unfit)?, tensor)
    }

    /// The tensor's bytes: those in the file, which others may write to, or what they stand for.
    fn stored(&self, tensor: &Tensor) -> Result<Cow<'_, [u8]>> {
        if !self.checkpoint.is_in_place(tensor) {
            return Ok(self.checkpoint.read(tensor)?.into());
        }
        let start = usize::try_from(tensor.offset)?;
        let end = start.saturating_add(usize::try_from(tensor.bytes)?);
        let bytes = self.file.get(start..end);
        bytes.map(Cow::from).with_context(|| format!("{} is cut off", tensor.name))
    }
}

#[expect(unsafe_code, reason = "maps a file into memory")]
pub(super) fn map(file: &fs::File) -> Result<Mmap> {
    // SAFETY: if the file shrinks meanwhile, this process crashes, which costs only this job.
    unsafe { Mmap::map(file) }.context("cannot map the file into memory")
}

/// Rounds a tensor's numbers to fp16.
fn rounded(values: &[f32], tensor: &Tensor) -> Result<Vec<u8>> {
    let mut halves = vec![f16::ZERO; values.len()];
    halves.convert_from_f32_slice(values);
    let overflowed =
        halves.iter().zip(values).find(|(half, value)| half.is_infinite() && value.is_finite());
    if let Some((_, value)) = overflowed {
        let (tensor, value) = (tensor.name.clone(), format!("{value:e}"));
        return Err(Unfit::PastRange { tensor, value }.into());
    }
    Ok(halves.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// Reorders fp16 values from [outputs, inputs, height, width] to [outputs, height, width, inputs].
fn channels_last(bytes: &[u8], shape: &[u64]) -> Vec<u8> {
    let &[_, inputs, height, width] = shape else { return bytes.to_vec() };
    let (inputs, pixels) = (inputs as usize, (height * width) as usize);
    let mut moved = Vec::with_capacity(bytes.len());
    for output in bytes.chunks_exact(2 * inputs * pixels) {
        for pixel in 0..pixels {
            for input in 0..inputs {
                moved.extend_from_slice(&output[2 * (input * pixels + pixel)..][..2]);
            }
        }
    }
    moved
}

#[cfg(test)]
mod tests;
