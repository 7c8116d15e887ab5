//! The numbers that a shared engine is filled with.

use std::{borrow::Cow, collections::HashMap, fs, path::Path};

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, Dtype, Tensor};
use half::{bf16, f16, slice::HalfFloatSliceExt};
use memmap2::Mmap;
use safetensors::{SafeTensors, tensor::Dtype as Stored};

/// Tensors of a checkpoint, which stay in its file, and constants of the graph.
pub(super) struct Weights<'a> {
    checkpoint: Mmap,
    tensors: HashMap<&'a str, &'a Tensor>,
    constants: HashMap<String, (Dtype, Vec<u8>)>,
}

impl<'a> Weights<'a> {
    /// Of an open checkpoint and the file of constants.
    pub(super) fn new(checkpoint: &'a Checkpoint, constants: &Path) -> Result<Self> {
        let tensors = checkpoint.unet().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        let cannot = || format!("cannot read the graph's constants {}", constants.display());
        let bytes = fs::read(constants).with_context(cannot)?;
        let constants = parse(&bytes).with_context(cannot)?;
        Ok(Self { checkpoint: map(checkpoint.file())?, tensors, constants })
    }

    /// `count` numbers of this name as `dtype`, fp16 or fp32, where they lie if they can be taken as they are.
    pub(super) fn get(&self, name: &str, dtype: Dtype, count: usize) -> Result<Cow<'_, [u8]>> {
        let (stored, bytes) = match (self.tensors.get(name), self.constants.get(name)) {
            (Some(tensor), _) => (tensor.dtype, self.tensor(tensor)?),
            (None, Some((dtype, bytes))) => (*dtype, bytes.as_slice()),
            (None, None) => anyhow::bail!("the checkpoint has no {name}, which the engine needs"),
        };
        let found = bytes.len() / stored.size() as usize;
        ensure!(found == count, "{name} has {found} numbers, and the engine takes {count}");
        if stored == dtype && bytes.as_ptr().align_offset(dtype.size() as usize) == 0 {
            return Ok(Cow::Borrowed(bytes));
        }
        let converted = convert(bytes, stored, dtype);
        converted
            .map(Cow::Owned)
            .with_context(|| format!("{name} is {stored}, which no engine is filled with"))
    }

    fn tensor(&self, tensor: &Tensor) -> Result<&[u8]> {
        let start = usize::try_from(tensor.offset)?;
        let end = start.saturating_add(usize::try_from(tensor.bytes)?);
        self.checkpoint.get(start..end).with_context(|| format!("{} is cut off", tensor.name))
    }
}

#[expect(unsafe_code, reason = "maps a file into memory")]
pub(super) fn map(file: &fs::File) -> Result<Mmap> {
    // SAFETY: a file that shrinks meanwhile ends this process, and with it this job alone.
    unsafe { Mmap::map(file) }.context("cannot map the file into memory")
}

fn parse(bytes: &[u8]) -> Result<HashMap<String, (Dtype, Vec<u8>)>> {
    let file = SafeTensors::deserialize(bytes)?;
    let constants = file.tensors().into_iter().filter_map(|(name, view)| {
        let dtype = match view.dtype() {
            Stored::F16 => Dtype::F16,
            Stored::F32 => Dtype::F32,
            _ => return None,
        };
        Some((name, (dtype, view.data().to_vec())))
    });
    Ok(constants.collect())
}

/// The same numbers as fp16 or fp32, little-endian as they came; `None` for types that UNets are not of.
fn convert(bytes: &[u8], from: Dtype, to: Dtype) -> Option<Vec<u8>> {
    if from == to {
        return Some(bytes.to_vec());
    }
    let numbers: Vec<f32> = match from {
        Dtype::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::Bf16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => return None,
    };
    match to {
        Dtype::F32 => Some(numbers.iter().flat_map(|number| number.to_le_bytes()).collect()),
        Dtype::F16 => {
            let mut halves = vec![f16::ZERO; numbers.len()];
            halves.convert_from_f32_slice(&numbers);
            Some(halves.iter().flat_map(|number| number.to_le_bytes()).collect())
        }
        _ => None,
    }
}

fn each<const SIZE: usize>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_that_unets_have() {
        let half = |number: f32| f16::from_f32(number).to_le_bytes().to_vec();
        let single = |number: f32| number.to_le_bytes().to_vec();
        for (bytes, from, to, converted) in [
            (single(1.5), Dtype::F32, Dtype::F16, Some(half(1.5))),
            (half(-0.25), Dtype::F16, Dtype::F32, Some(single(-0.25))),
            (bf16::from_f32(3.0).to_le_bytes().to_vec(), Dtype::Bf16, Dtype::F16, Some(half(3.0))),
            (2.0f64.to_le_bytes().to_vec(), Dtype::F64, Dtype::F16, Some(half(2.0))),
            (half(1.0), Dtype::F16, Dtype::F16, Some(half(1.0))),
            (single(1e6), Dtype::F32, Dtype::F16, Some(half(f32::INFINITY))),
            (vec![1], Dtype::F8E4M3, Dtype::F16, None),
        ] {
            assert_eq!(convert(&bytes, from, to), converted, "{from} to {to}");
        }
    }
}
