//! A checkpoint's weights, converted to fp16 for engines.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, Dtype, Sample, Scaling, Tensor, UNET_PREFIX, unet_id};
use engine::Inside;
use half::{f16, slice::HalfFloatSliceExt};
use memmap2::Mmap;
use thiserror::Error;
use unet::{Bound, Layout};

use super::numbers::{numbers, scale};

/// Weights that engines can't use, because they compute in fp16.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Unfit {
    #[error(
        "{tensor} holds {value}, which is outside the range of fp16 (±65504): engines compute in fp16, so this \
         checkpoint needs PyTorch"
    )]
    PastRange { tensor: String, value: String },
    #[error("{tensor} is stored as {dtype}, which engines do not support")]
    Stored { tensor: String, dtype: Dtype },
    #[error(
        "{tensor} is quantised in a way that only its own front end reads: the engine takes the weights from there, \
         and is validated with another checkpoint of its kind"
    )]
    Scaled { tensor: String },
}

impl Unfit {
    fn scaled(tensor: &Tensor) -> anyhow::Error {
        Self::Scaled { tensor: tensor.name.clone() }.into()
    }
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
            let stored = self.stored(tensor)?.to_vec();
            let digest: [u8; 32] = blake3::hash(&stored).into();
            let halves = self.scaled_halves(stored, tensor)?;
            file.write_all(&halves).with_context(cannot)?;
            let first = halves[..halves.len().min(Sample::BYTES)].to_vec();
            read.insert(&*tensor.name, (tensor, digest, first));
            let bytes = halves.len() as u64;
            moved.push(Tensor { dtype: Dtype::F16, offset, bytes, ..tensor.clone() });
            offset += bytes;
        }
        file.flush().with_context(cannot)?;
        let mut digests: BTreeMap<_, _> =
            read.iter().map(|(name, (tensor, digest, _))| (*name, (*tensor, *digest))).collect();
        for beside in self.checkpoint.beside() {
            digests.insert(&beside.name, (beside, blake3::hash(self.stored(beside)?).into()));
        }
        let unet = unet_id(digests.values().map(|(tensor, digest)| (*tensor, digest)));
        let mut sample = Sample::default();
        for (name, (_, _, first)) in &read {
            sample.add(name.strip_prefix(UNET_PREFIX).unwrap_or(name), first);
        }
        Ok((moved, Inside { unet, sample: sample.id() }))
    }

    fn halves(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        self.scaled_halves(self.stored(tensor)?.to_vec(), tensor)
    }

    /// Converts what is stored to fp16, times its scale.
    fn scaled_halves(&self, stored: Vec<u8>, tensor: &Tensor) -> Result<Vec<u8>> {
        let by = match self.checkpoint.scaling(tensor) {
            Scaling::Plain if tensor.dtype != Dtype::I8 => return halves(stored, tensor),
            Scaling::By(by) => by,
            Scaling::Plain | Scaling::Unknown => return Err(Unfit::scaled(tensor)),
        };
        let scales = numbers(self.stored(by)?, by.dtype).ok_or_else(|| Unfit::scaled(by))?;
        let mut values = numbers(&stored, tensor.dtype).ok_or_else(|| Unfit::scaled(tensor))?;
        if !scale(&mut values, &scales, tensor.shape.first().copied().unwrap_or(1)) {
            return Err(Unfit::scaled(tensor));
        }
        rounded(&values, tensor)
    }

    /// The tensor's bytes in the file, which others may write to.
    fn stored(&self, tensor: &Tensor) -> Result<&[u8]> {
        let start = usize::try_from(tensor.offset)?;
        let end = start.saturating_add(usize::try_from(tensor.bytes)?);
        self.file.get(start..end).with_context(|| format!("{} is cut off", tensor.name))
    }
}

#[expect(unsafe_code, reason = "maps a file into memory")]
pub(super) fn map(file: &fs::File) -> Result<Mmap> {
    // SAFETY: if the file shrinks meanwhile, this process crashes, which costs only this job.
    unsafe { Mmap::map(file) }.context("cannot map the file into memory")
}

/// Converts a tensor's little-endian bytes to fp16.
fn halves(bytes: Vec<u8>, tensor: &Tensor) -> Result<Vec<u8>> {
    if tensor.dtype == Dtype::F16 {
        return Ok(bytes);
    }
    let stored = || Unfit::Stored { tensor: tensor.name.clone(), dtype: tensor.dtype };
    rounded(&numbers(&bytes, tensor.dtype).ok_or_else(stored)?, tensor)
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
mod tests {
    use half::bf16;

    use super::*;

    fn tensor(dtype: Dtype) -> Tensor {
        Tensor { name: "out.2.weight".into(), dtype, shape: vec![1], offset: 0, bytes: 0 }
    }

    #[test]
    fn values_of_every_type_that_unets_have_are_converted() {
        let half = |value: f32| f16::from_f32(value).to_le_bytes().to_vec();
        let single = |value: f32| value.to_le_bytes().to_vec();
        let brain = |value: f32| bf16::from_f32(value).to_le_bytes().to_vec();
        for (bytes, dtype, expected) in [
            (single(1.5), Dtype::F32, Ok(half(1.5))),
            (brain(3.0), Dtype::Bf16, Ok(half(3.0))),
            (2.0f64.to_le_bytes().to_vec(), Dtype::F64, Ok(half(2.0))),
            (half(1.0), Dtype::F16, Ok(half(1.0))),
            // An infinity in the checkpoint stays one: it is no overflow.
            (single(f32::INFINITY), Dtype::F32, Ok(half(f32::INFINITY))),
            (single(65_504.0), Dtype::F32, Ok(half(65_504.0))),
            (
                single(7e4),
                Dtype::F32,
                Err("out.2.weight holds 7e4, which is outside the range of fp16"),
            ),
            (brain(-1e6), Dtype::Bf16, Err("out.2.weight holds -9.99424e5, which is outside")),
            (vec![0x38], Dtype::F8E4M3, Ok(half(1.0))),
            (vec![0x38], Dtype::F8E5M2, Ok(half(0.5))),
            (vec![1], Dtype::U8, Err("out.2.weight is stored as U8")),
        ] {
            match (halves(bytes, &tensor(dtype)).map_err(|error| error.to_string()), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{dtype}"),
                (Err(found), Err(expected)) => assert!(found.starts_with(expected), "{found}"),
                (found, expected) => panic!("{dtype}: {found:?}, not {expected:?}"),
            }
        }
    }

    /// In half precision as in double the numbers that are written are those that were hashed.
    #[test]
    fn what_is_written_is_what_was_hashed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["sd1", "sd2-unclip-h"] {
            let path = dir.path().join("a.safetensors");
            goldens::Manifest::load(name).unwrap().write_checkpoint(&path).unwrap();
            let checkpoint = Checkpoint::open(&path).unwrap();
            let weights = Weights::new(&checkpoint).unwrap();
            let (moved, inside) = weights.write_halves(&dir.path().join("weights")).unwrap();
            assert_eq!(inside.unet, checkpoint.ids().unwrap().unet, "{name}");
            let written = fs::read(dir.path().join("weights")).unwrap();
            let mut sample = Sample::default();
            for tensor in checkpoint.unet() {
                let expected = weights.halves(tensor).unwrap();
                let now = moved.iter().find(|moved| moved.name == tensor.name).unwrap();
                let found = &written[now.offset as usize..][..now.bytes as usize];
                assert!(found == expected, "{name} {}", tensor.name);
                sample.add(&tensor.name[UNET_PREFIX.len()..], &expected);
            }
            assert_eq!(inside.sample, sample.id(), "{name}");
        }
    }

    /// A file with the least that counts as a UNet, whose layer is stored as `dtype` with `beside` it.
    fn quantised(dtype: &str, stored: &[u8], beside: &[(&str, &str, &[u64], Vec<u8>)]) -> Vec<u8> {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        let mut add = |name: &str, dtype: &str, shape: &[u64], bytes: &[u8]| {
            let offsets = [data.len(), data.len() + bytes.len()];
            data.extend_from_slice(bytes);
            entries.push(format!(
                r#""{UNET_PREFIX}{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":{offsets:?}}}"#
            ));
        };
        for (name, shape) in [
            ("input_blocks.0.0.weight", &[1, 4, 1, 1][..]),
            ("time_embed.0.weight", &[1, 1]),
            ("time_embed.2.weight", &[1, 1]),
            ("x.attn2.to_k.weight", &[1, 768]),
            ("out.0.weight", &[1]),
            ("out.2.weight", &[4, 1, 1, 1]),
        ] {
            add(name, "F16", shape, &vec![0; 2 * shape.iter().product::<u64>() as usize]);
        }
        add("layer.weight", dtype, &[2, 2], stored);
        beside.iter().for_each(|(name, dtype, shape, bytes)| add(name, dtype, shape, bytes));
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
    }

    /// Casting what is stored without its scale makes another model.
    #[test]
    fn no_weight_is_read_without_its_scale() {
        let single = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let half = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect()
        };
        let rotated = br#"{"format":"int8_tensorwise","convrot":true}"#.to_vec();
        let length = [rotated.len() as u64];
        let ones = [0x38; 4];
        let scale =
            |name, shape: &'static [u64], values: &[f32]| (name, "F32", shape, single(values));
        let folder = tempfile::tempdir().unwrap();
        for (what, file, expected) in [
            ("plain", quantised("F8_E4M3", &ones, &[]), Some([1.0; 4])),
            (
                "one scale",
                quantised("F8_E4M3", &ones, &[scale("layer.scale_weight", &[], &[0.25])]),
                Some([0.25; 4]),
            ),
            (
                "one for each row",
                quantised(
                    "I8",
                    &[1, 2, 3, 4],
                    &[scale("layer.weight_scale", &[2, 1], &[2.0, 0.5])],
                ),
                Some([2.0, 4.0, 1.5, 2.0]),
            ),
            (
                "fp16 with one",
                quantised("F16", &half(&[3.0; 4]), &[scale("layer.weight_scale", &[1], &[2.0])]),
                Some([6.0; 4]),
            ),
            (
                "one for each column",
                quantised("F8_E4M3", &ones, &[scale("layer.weight_scale", &[4], &[1.0; 4])]),
                None,
            ),
            (
                "rotated",
                quantised(
                    "I8",
                    &[1; 4],
                    &[
                        scale("layer.weight_scale", &[], &[1.0]),
                        ("layer.comfy_quant", "U8", &length, rotated),
                    ],
                ),
                None,
            ),
        ] {
            let path = folder.path().join("a.safetensors");
            fs::write(&path, file).unwrap();
            let checkpoint = Checkpoint::open(&path).unwrap();
            let weights = Weights::new(&checkpoint).unwrap();
            let written = weights.write_halves(&folder.path().join("weights"));
            match (written, expected) {
                (Ok((moved, inside)), Some(expected)) => {
                    let layer = moved.iter().find(|tensor| tensor.name.ends_with(".layer.weight"));
                    let all = fs::read(folder.path().join("weights")).unwrap();
                    let offset = layer.unwrap().offset as usize;
                    assert_eq!(all[offset..][..8], half(&expected), "{what}");
                    assert_eq!(inside.unet, checkpoint.ids().unwrap().unet, "{what}");
                }
                (Err(error), None) => {
                    assert!(
                        matches!(error.downcast_ref(), Some(Unfit::Scaled { .. })),
                        "{what}: {error}"
                    );
                }
                (found, _) => panic!("{what}: {:?}", found.map(|(moved, _)| moved)),
            }
        }
    }

    #[test]
    fn convolution_weights_are_reordered_to_channels_last() {
        // Two outputs of two inputs, 1×3.
        let values: Vec<u8> = (0..12u16).flat_map(u16::to_le_bytes).collect();
        let moved = channels_last(&values, &[2, 2, 1, 3]);
        let moved: Vec<u16> = moved.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        assert_eq!(moved, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }
}
