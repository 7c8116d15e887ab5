//! The weights in the graph's precision, of a checkpoint that stores them in a way that ONNX doesn't read: fp8, fp64,
//! times a scale, strided, compressed or negated.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use checkpoint::{Checkpoint, Tensor};
use half::f16;
use unet::Precision;

use super::{Source, aside::Aside, weights::Storage};

/// The file's name.
pub(super) const NAME: &str = "unet.onnx.data";

/// The UNet's tensors as they lie in that file, one after the other.
pub(super) fn tensors(checkpoint: &Checkpoint, precision: Precision) -> Vec<Tensor> {
    let dtype = precision.dtype();
    let mut offset = 0;
    let moved = checkpoint.parameters().map(|tensor| {
        let bytes = dtype.size() * tensor.shape.iter().product::<u64>();
        offset += bytes;
        Tensor { dtype, offset: offset - bytes, bytes, ..tensor.clone() }
    });
    moved.collect()
}

/// Writes the file to `dir`, so that it is never visible incomplete.
pub(super) fn write(source: &Source<'_>, dir: &Path, precision: Precision) -> Result<Storage> {
    let place = dir.join(NAME);
    ensure!(
        !source.is_at(&place),
        "{} is the checkpoint itself; export to another folder",
        place.display()
    );
    let cannot = || format!("cannot write {}", place.display());
    let mode = source.mode().with_context(cannot)?;
    let aside = Aside::new(dir, mode).with_context(cannot)?;
    let mut file = BufWriter::new(aside.file());
    for tensor in source.checkpoint.parameters() {
        let values = source.checkpoint.values(tensor)?.with_context(|| {
            format!(
                "{} is quantised in a way that only its own front end reads; with \
                 --weights-as-inputs the weights come from there",
                tensor.name
            )
        })?;
        let bytes = encoded(&values, precision).with_context(|| tensor.name.clone())?;
        file.write_all(&bytes).with_context(cannot)?;
    }
    file.flush().with_context(cannot)?;
    drop(file);
    source.ensure_unchanged()?;
    aside.persist(&place).with_context(cannot)?;
    File::open(dir).and_then(|dir| dir.sync_all()).with_context(cannot)?;
    Ok(Storage::Converted)
}

/// The bytes of values in this precision. None is rounded to infinity.
fn encoded(values: &[f32], precision: Precision) -> Result<Vec<u8>> {
    if precision == Precision::Fp32 {
        return Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }
    let mut bytes = Vec::with_capacity(2 * values.len());
    for value in values {
        let half = f16::from_f32(*value);
        if half.is_infinite() && value.is_finite() {
            bail!("{value:e} is outside the range of fp16 (±65504); export with --precision fp32");
        }
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_becomes_infinite() {
        let bytes = |values: &[f32], precision| encoded(values, precision).ok();
        for (value, halves) in [
            (1.5, Some([0x00, 0x3e])),
            (65_504.0, Some([0xff, 0x7b])),
            (7e4, None),
            (-7e4, None),
            (f32::INFINITY, Some([0x00, 0x7c])),
        ] {
            assert_eq!(bytes(&[value], Precision::Fp16), halves.map(Vec::from), "{value}");
            assert_eq!(bytes(&[value], Precision::Fp32), Some(value.to_le_bytes().to_vec()));
        }
    }
}
