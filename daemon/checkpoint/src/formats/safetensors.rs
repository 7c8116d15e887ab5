//! The safetensors format: a length, a JSON header, the tensors' bytes.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::fs::File;

use ::safetensors::tensor::{Dtype as Stored, Metadata};

use crate::{
    file,
    rejection::Rejection,
    tensor::{Dtype, Tensor},
};

/// Most bytes of a header. SDXL's takes 300 KB, and a preview picture may come on top; read, one
/// takes up to seventeen times as much memory.
const HEADER_LIMIT: u64 = 8 << 20;

/// Bytes of the header's length.
const PREFIX: u64 = 8;

/// Lists the tensors; see [`super::tensors`].
pub(super) fn tensors(file: &File, len: u64) -> Result<Vec<Tensor>, Rejection> {
    let header = header(file, len)?;
    let start = PREFIX + header.len() as u64;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| Rejection::BadHeader { reason: error.to_string() })?;
    // Its offsets were found to follow each other from 0 without gap or overlap.
    let expected = (metadata.data_len() as u64)
        .checked_add(start)
        .ok_or_else(|| Rejection::BadHeader { reason: "the data's length overflows".into() })?;
    match len {
        actual if actual < expected => return Err(Rejection::Truncated { expected, actual }),
        actual if actual > expected => return Err(Rejection::TooLong { expected, actual }),
        _ => {}
    }
    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
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

fn header(file: &File, len: u64) -> Result<Vec<u8>, Rejection> {
    let rest = len.checked_sub(PREFIX).ok_or(Rejection::NotACheckpoint)?;
    let mut prefix = [0; PREFIX as usize];
    file::read(file, &mut prefix, 0)?;
    let header = u64::from_le_bytes(prefix);
    let mut first = [0];
    if rest > 0 {
        file::read(file, &mut first, PREFIX)?;
    }
    // Anything may lie where the length should be; only with this byte is it a length.
    if first != *b"{" {
        return Err(Rejection::NotACheckpoint);
    }
    if header > HEADER_LIMIT {
        return Err(Rejection::HeaderTooLong { header, limit: HEADER_LIMIT });
    }
    if header > rest {
        return Err(Rejection::HeaderPastEnd { header, actual: len });
    }
    file::read_vec(file, PREFIX, header as usize)
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
