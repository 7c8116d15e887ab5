//! The safetensors format: a length, a JSON header, the tensors' bytes.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::{borrow::Cow, fmt};

use ::safetensors::tensor::{Dtype as Stored, TensorInfo};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    file::Source,
    rejection::Rejection,
    tensor::{Dtype, Tensor},
};

/// The longest header that is read. SDXL's takes 300 KB, plus perhaps a preview picture; parsing takes
/// several times as much memory.
const HEADER_LIMIT: u64 = 8 << 20;

/// Bytes of the header's length.
const PREFIX: u64 = 8;

/// The one entry that is not a tensor.
const METADATA: &str = "__metadata__";

/// Lists the tensors; see [`super::tensors`].
pub(super) fn tensors(file: &Source) -> Result<Vec<Tensor>, Rejection> {
    let (header, len) = (header(file)?, file.len());
    let start = PREFIX + header.len() as u64;
    let Header(mut entries) = serde_json::from_slice(&header)
        .map_err(|error| Rejection::BadHeader { reason: error.to_string() })?;
    entries.sort_unstable_by_key(|(_, info)| info.data_offsets);
    let expected = data_len(&entries)?
        .checked_add(start)
        .ok_or_else(|| Rejection::BadHeader { reason: "the data's length overflows".into() })?;
    match len {
        actual if actual < expected => return Err(Rejection::Truncated { expected, actual }),
        actual if actual > expected => return Err(Rejection::TooLong { expected, actual }),
        _ => {}
    }
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, info) in entries {
        let (begin, end) = info.data_offsets;
        let Some(dtype) = dtype(info.dtype) else {
            return Err(Rejection::UnsupportedDtype {
                tensor: name,
                dtype: info.dtype.to_string(),
            });
        };
        tensors.push(Tensor {
            name,
            dtype,
            shape: info.shape.iter().map(|dimension| *dimension as u64).collect(),
            offset: start + begin as u64,
            bytes: (end - begin) as u64,
        });
    }
    if tensors.is_empty() { Err(Rejection::NoTensors) } else { Ok(tensors) }
}

/// Returns the bytes of all tensors, which must follow each other without gaps or overlaps, each as long as
/// its shape says. They are sorted by offset.
fn data_len(entries: &[(String, TensorInfo)]) -> Result<u64, Rejection> {
    let mut len = 0;
    for (name, info) in entries {
        let bad = |what| Rejection::BadHeader { reason: format!("{what} of tensor {name}") };
        let (begin, end) = info.data_offsets;
        if begin != len {
            return Err(bad("invalid offset"));
        }
        let mut sizes = info.shape.iter();
        let bits = sizes.try_fold(info.dtype.bitsize(), |bits, size| bits.checked_mul(*size));
        let bits = bits.ok_or_else(|| bad("overflow in the shape"))?;
        if bits % 8 != 0 || end.checked_sub(begin) != Some(bits / 8) {
            return Err(bad("invalid length"));
        }
        len = end;
    }
    Ok(len as u64)
}

/// The tensors in a header. The format's own library parses it through serde's `flatten`, which takes twice
/// as long.
struct Header(Vec<(String, TensorInfo)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
            } else {
                tensors.push((name, map.next_value()?));
            }
        }
        Ok(Header(tensors))
    }
}

fn header(file: &Source) -> Result<Cow<'_, [u8]>, Rejection> {
    let len = file.len();
    let rest = len.checked_sub(PREFIX).ok_or(Rejection::NotACheckpoint)?;
    let mut prefix = [0; PREFIX as usize];
    file.read(&mut prefix, 0)?;
    let header = u64::from_le_bytes(prefix);
    let mut first = [0];
    if rest > 0 {
        file.read(&mut first, PREFIX)?;
    }
    // Other formats have other bytes here; only before this byte is there a length.
    if first != *b"{" {
        return Err(Rejection::NotACheckpoint);
    }
    if header > HEADER_LIMIT {
        return Err(Rejection::HeaderTooLong { header, limit: HEADER_LIMIT });
    }
    if header > rest {
        return Err(Rejection::HeaderPastEnd { header, actual: len });
    }
    file.bytes(PREFIX, header as usize)
}

fn dtype(stored: Stored) -> Option<Dtype> {
    Some(match stored {
        Stored::F64 => Dtype::F64,
        Stored::F32 => Dtype::F32,
        Stored::F16 => Dtype::F16,
        Stored::BF16 => Dtype::Bf16,
        Stored::F8_E4M3 => Dtype::F8E4M3,
        Stored::F8_E5M2 => Dtype::F8E5M2,
        Stored::I64 => Dtype::I64,
        Stored::I32 => Dtype::I32,
        Stored::I16 => Dtype::I16,
        Stored::I8 => Dtype::I8,
        Stored::U64 => Dtype::U64,
        Stored::U32 => Dtype::U32,
        Stored::U16 => Dtype::U16,
        Stored::U8 => Dtype::U8,
        Stored::BOOL => Dtype::Bool,
        _ => return None,
    })
}
