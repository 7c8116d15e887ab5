//! A tensor's type, and its position in its file.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// IEEE 754 binary64.
    F64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// 8-bit float, 4 exponent and 3 mantissa bits.
    F8E4M3,
    /// 8-bit float, 5 exponent and 2 mantissa bits.
    F8E5M2,
    /// The same as `F8E4M3` without infinity and negative zero.
    F8E4M3Fnuz,
    /// The same as `F8E5M2` without infinity and negative zero.
    F8E5M2Fnuz,
    /// A power of two, the scale of a block: 8 exponent bits.
    F8E8M0,
    /// 6-bit float, 2 exponent and 3 mantissa bits.
    F6E2M3,
    /// 6-bit float, 3 exponent and 2 mantissa bits.
    F6E3M2,
    /// 4-bit float, 2 exponent bits and 1 mantissa bit.
    F4,
    /// Two `F64`, torch's alone: safetensors has no such type.
    C128,
    /// Two `F32`.
    C64,
    /// Two `F16`, torch's alone: safetensors has no such type.
    C32,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 16-bit integer.
    I16,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 64-bit integer.
    U64,
    /// Unsigned 32-bit integer.
    U32,
    /// Unsigned 16-bit integer.
    U16,
    /// Unsigned 8-bit integer.
    U8,
    /// One byte, 0 or 1.
    Bool,
    /// One that is newer than this program, by its name in the file.
    Other(Name),
}

/// Each type with its name in safetensors headers and the bits of an element. Source: safetensors 0.8.0,
/// `safetensors/src/tensor.rs`.
const DTYPES: [(Dtype, &str, u64); 24] = [
    (Dtype::F64, "F64", 64),
    (Dtype::F32, "F32", 32),
    (Dtype::F16, "F16", 16),
    (Dtype::Bf16, "BF16", 16),
    (Dtype::F8E4M3, "F8_E4M3", 8),
    (Dtype::F8E5M2, "F8_E5M2", 8),
    (Dtype::F8E4M3Fnuz, "F8_E4M3FNUZ", 8),
    (Dtype::F8E5M2Fnuz, "F8_E5M2FNUZ", 8),
    (Dtype::F8E8M0, "F8_E8M0", 8),
    (Dtype::F6E2M3, "F6_E2M3", 6),
    (Dtype::F6E3M2, "F6_E3M2", 6),
    (Dtype::F4, "F4", 4),
    (Dtype::C128, "C128", 128),
    (Dtype::C64, "C64", 64),
    (Dtype::C32, "C32", 32),
    (Dtype::I64, "I64", 64),
    (Dtype::I32, "I32", 32),
    (Dtype::I16, "I16", 16),
    (Dtype::I8, "I8", 8),
    (Dtype::U64, "U64", 64),
    (Dtype::U32, "U32", 32),
    (Dtype::U16, "U16", 16),
    (Dtype::U8, "U8", 8),
    (Dtype::Bool, "BOOL", 8),
];

impl Dtype {
    /// The type of this name in safetensors headers; `None` for what is no type's name.
    pub fn named(name: &str) -> Option<Self> {
        let known = DTYPES.iter().find(|(_, known, _)| *known == name);
        known.map(|(dtype, ..)| *dtype).or_else(|| Name::new(name).map(Self::Other))
    }

    /// Whether its elements are whole numbers, of which no UNet is made.
    pub(crate) fn is_integer(self) -> bool {
        use Dtype::{Bool, I8, I16, I32, I64, U8, U16, U32, U64};
        matches!(self, I64 | I32 | I16 | I8 | U64 | U32 | U16 | U8 | Bool)
    }

    /// Bits per element; `None` if nobody here knows.
    pub fn bits(self) -> Option<u64> {
        DTYPES.iter().find(|(dtype, ..)| *dtype == self).map(|(.., bits)| *bits)
    }

    /// Bytes per element, at least 1.
    pub fn size(self) -> u64 {
        self.bits().map_or(1, |bits| bits.div_ceil(8))
    }

    /// The name in safetensors headers, which the ids are computed over.
    pub fn name(&self) -> &str {
        match self {
            Self::Other(name) => name.as_str(),
            known => {
                DTYPES.iter().find(|(dtype, ..)| dtype == known).map_or("", |(_, name, _)| name)
            }
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A type's name: capitals, digits and underscores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name([u8; Self::LONGEST]);

impl Name {
    const LONGEST: usize = 16;

    fn new(name: &str) -> Option<Self> {
        let is_plain = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        (!name.is_empty() && name.bytes().all(is_plain)).then_some(Self(bytes))
    }

    fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::LONGEST);
        str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

/// A tensor of a checkpoint: row-major, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The canonical name: A1111's, with the UNet's tensors under [`UNET_PREFIX`].
    pub name: String,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<u64>,
    /// The position of the first byte in the file. What does not lie there as it is, such as a strided tensor of a
    /// torch file, has a position behind the file's end: [`crate::Checkpoint::read`] reads it.
    pub offset: u64,
    /// The size in bytes: the product of the dimensions and the element size, where that is known.
    pub bytes: u64,
}

impl Tensor {
    /// The number of its elements; at most [`u64::MAX`].
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |all: u64, size| all.saturating_mul(*size))
    }
}

/// The prefix of the UNet's tensors in the files that A1111 loads.
pub const UNET_PREFIX: &str = "model.diffusion_model.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_nobody_knows_keeps_its_name() {
        for (dtype, name, bits) in DTYPES {
            assert_eq!(
                (Dtype::named(name), dtype.name(), dtype.bits()),
                (Some(dtype), name, Some(bits))
            );
        }
        let new = Dtype::named("F2_E1M0FNUZ_0123").unwrap();
        assert_eq!(
            (new.to_string().as_str(), new.bits(), new.size()),
            ("F2_E1M0FNUZ_0123", None, 1)
        );
        for name in ["", "F2_E1M0FNUZ_01234", "f32", "F 2", "F2\u{1b}[0m", "F2\0"] {
            assert_eq!(Dtype::named(name), None, "{name}");
        }
    }
}
