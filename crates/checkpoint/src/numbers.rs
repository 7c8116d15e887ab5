//! The numbers that a tensor's bytes stand for.

use half::{bf16, f16};

use crate::tensor::Dtype;

/// Returns a tensor's numbers in fp32; `None` for types that no weight has.
pub(crate) fn numbers(bytes: &[u8], dtype: Dtype) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::Bf16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F8E4M3 => each(bytes, |[byte]: [u8; 1]| e4m3(byte)),
        // The upper half of an fp16.
        Dtype::F8E5M2 => each(bytes, |[byte]| f16::from_le_bytes([0, byte]).to_f32()),
        Dtype::I8 => each(bytes, |bytes| f32::from(i8::from_le_bytes(bytes))),
        _ => return None,
    })
}

fn each<const SIZE: usize>(bytes: &[u8], number: impl Fn([u8; SIZE]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}

/// A sign, 4 bits of an exponent that is biased by 7, 3 of a mantissa; no infinity, and one NaN.
fn e4m3(byte: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(byte >> 3 & 15), f32::from(byte & 7) / 8.0);
    let magnitude = match exponent {
        15 if byte & 7 == 7 => f32::NAN,
        0 => mantissa * 2f32.powi(-6),
        _ => (1.0 + mantissa) * 2f32.powi(exponent - 7),
    };
    if byte & 0x80 == 0 { magnitude } else { -magnitude }
}

/// Multiplies each number with its scale: there is one for all, or one for each row. Says whether that fits.
pub(crate) fn scale(numbers: &mut [f32], scales: &[f32], rows: u64) -> bool {
    match scales {
        [] => false,
        [scale] => {
            numbers.iter_mut().for_each(|number| *number *= scale);
            true
        }
        _ if scales.len() as u64 == rows => {
            let row = numbers.len() / scales.len();
            for (row, scale) in numbers.chunks_mut(row.max(1)).zip(scales) {
                row.iter_mut().for_each(|number| *number *= scale);
            }
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of eight bits are torch 2.15's: `torch.tensor([byte], dtype=torch.uint8).view(dtype).float()`.
    #[test]
    fn numbers_of_every_type_are_read() {
        for (byte, e4m3, e5m2) in [
            (0x00, 0.0, 0.0),
            (0x01, 0.001953125, 2f32.powi(-16)),
            (0x07, 0.013671875, 7.0 * 2f32.powi(-16)),
            (0x08, 0.015625, 2f32.powi(-13)),
            (0x38, 1.0, 0.5),
            (0x3c, 1.5, 1.0),
            (0x7b, 352.0, 57344.0),
            (0x7e, 448.0, f32::NAN),
            (0x7f, f32::NAN, f32::NAN),
            (0xb8, -1.0, -0.5),
            (0xfe, -448.0, f32::NAN),
        ] {
            let same =
                |found: f32, wanted: f32| found == wanted || found.is_nan() && wanted.is_nan();
            let found =
                [Dtype::F8E4M3, Dtype::F8E5M2].map(|dtype| numbers(&[byte], dtype).unwrap()[0]);
            assert!(same(found[0], e4m3) && same(found[1], e5m2), "{byte:#x}: {found:?}");
        }
        for (bytes, dtype, wanted) in [
            (2.5f64.to_le_bytes().to_vec(), Dtype::F64, Some(2.5)),
            ((-2.5f32).to_le_bytes().to_vec(), Dtype::F32, Some(-2.5)),
            (f16::from_f32(2.5).to_le_bytes().to_vec(), Dtype::F16, Some(2.5)),
            (bf16::from_f32(3.0).to_le_bytes().to_vec(), Dtype::Bf16, Some(3.0)),
            (vec![0x80], Dtype::I8, Some(-128.0)),
            (vec![0], Dtype::U8, None),
        ] {
            assert_eq!(numbers(&bytes, dtype), wanted.map(|number| vec![number]), "{dtype}");
        }
    }

    #[test]
    fn scales_are_of_all_or_of_rows() {
        for (scales, wanted) in [
            (&[2.0][..], Some([2.0, 4.0, 6.0, 8.0, 10.0, 12.0])),
            (&[2.0, 10.0], Some([2.0, 4.0, 6.0, 40.0, 50.0, 60.0])),
            (&[], None),
            (&[1.0, 2.0, 3.0], None),
        ] {
            let mut numbers = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
            let fits = scale(&mut numbers, scales, 2);
            assert_eq!(fits.then_some(numbers), wanted, "{scales:?}");
        }
    }
}
