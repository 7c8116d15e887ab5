//! The counter-based generator of all values.

use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::manifest::Dtype;

/// Values converted at a time: small enough for the first-level cache.
const CHUNK: usize = 2048;

/// A stream of uniform values in [−1, 1), each of which can be computed on its own.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    state: u64,
}

impl Stream {
    /// Makes the stream of a seed and a name: its state is FNV-1a 64 of `SEED:NAME`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let state =
            format!("{seed}:{name}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
                (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self { state }
    }

    /// The value at `index`, counted from 0: the top 24 bits of splitmix64's finalizer, so that each value is
    /// exact in f32.
    fn value(self, index: u64) -> f32 {
        let step = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state.wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 * (1.0 / 8_388_608.0) - 1.0
    }

    /// Fills `values` with the scaled values from `first` on.
    fn fill(self, first: usize, scale: Scale, values: &mut [f32]) {
        for (index, value) in (first as u64..).zip(values) {
            *value = self.value(index) * scale.factor + scale.shift;
        }
    }

    /// Returns the first `count` values, scaled.
    pub(crate) fn values(self, count: usize, scale: Scale) -> Vec<f32> {
        let mut values = vec![0.0; count];
        self.fill(0, scale, &mut values);
        values
    }

    /// Returns the first `count` values, scaled and rounded to `dtype`, little-endian.
    pub(crate) fn bytes(self, count: usize, scale: Scale, dtype: Dtype) -> Vec<u8> {
        let mut bytes = vec![0; count * dtype.size()];
        bytes.par_chunks_mut(CHUNK * dtype.size()).enumerate().for_each(|(chunk, bytes)| {
            let mut buffer = [0.0; CHUNK];
            let values = &mut buffer[..bytes.len() / dtype.size()];
            self.fill(chunk * CHUNK, scale, values);
            encode(values, dtype, bytes);
        });
        bytes
    }
}

/// A factor and a shift that are applied to each value, in f32.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    factor: f32,
    shift: f32,
}

impl Scale {
    /// For a model's inputs: unit variance.
    pub(crate) fn input() -> Self {
        Self::factor(3f64.sqrt() as f32)
    }

    /// For a weight: matrices and kernels scaled by fan-in, norm weights around 1, small biases.
    pub(crate) fn weight(name: &str, shape: &[usize]) -> Self {
        if shape.len() > 1 {
            let fan_in = shape[1..].iter().product::<usize>() as f64;
            Self::factor((3f64.sqrt() * 1.2 / fan_in.sqrt()) as f32)
        } else if name.ends_with(".weight") {
            Self { factor: 0.17, shift: 1.0 }
        } else {
            Self::factor(0.09)
        }
    }

    /// Multiplies the factor by `times`, a power of two.
    pub(crate) fn times(self, times: f32) -> Self {
        Self { factor: self.factor * times, shift: self.shift * times }
    }

    fn factor(factor: f32) -> Self {
        // Adding a negative zero changes nothing, not even the sign of zero.
        Self { factor, shift: -0.0 }
    }
}

/// Rounds `values` to `dtype`, to nearest even, and encodes them little-endian.
fn encode(values: &[f32], dtype: Dtype, bytes: &mut [u8]) {
    match dtype {
        Dtype::F32 => {
            for (value, out) in values.iter().zip(bytes.chunks_exact_mut(4)) {
                out.copy_from_slice(&value.to_le_bytes());
            }
        }
        Dtype::F16 => {
            let mut buffer = [half::f16::ZERO; CHUNK];
            let rounded = &mut buffer[..values.len()];
            rounded.convert_from_f32_slice(values);
            for (value, out) in rounded.iter().zip(bytes.chunks_exact_mut(2)) {
                out.copy_from_slice(&value.to_le_bytes());
            }
        }
        Dtype::Bf16 => {
            for (value, out) in values.iter().zip(bytes.chunks_exact_mut(2)) {
                out.copy_from_slice(&half::bf16::from_f32(*value).to_le_bytes());
            }
        }
    }
}
