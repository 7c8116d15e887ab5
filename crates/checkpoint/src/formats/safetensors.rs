//! The safetensors format: a length, a JSON header, the tensors' bytes.
//!
//! Source: <https://github.com/huggingface/safetensors#format>.

use std::io::{self, BufReader, Read};

use super::header::{Header, TensorEntry};
use crate::{file::Source, metadata::HeaderMetadata, rejection::Rejection, tensor::Tensor};

/// The longest header that the format allows; the format's own library refuses longer ones too. SDXL's takes
/// 300 KB, and pictures or workflows in the metadata may take megabytes.
const HEADER_LIMIT: u64 = 100_000_000;

/// A header up to this length is read at once, which is faster; a longer one piece by piece.
const AT_ONCE: u64 = 2 << 20;

/// Bytes of the header's length.
const PREFIX: u64 = 8;

/// Lists the tensors, and says where they start; see [`super::contents`].
pub(super) fn tensors(file: &Source) -> Result<(Vec<Tensor>, HeaderMetadata, u64), Rejection> {
    let (header_len, len) = (header_len(file)?, file.len());
    let Header { mut entries, metadata } = header(file, header_len)?;
    entries.sort_unstable_by_key(|(_, entry)| entry.data_offsets);
    let start = PREFIX + header_len;
    let expected = data_len(&entries)?
        .checked_add(start)
        .ok_or_else(|| Rejection::BadHeader { reason: "the data's length overflows".into() })?;
    match len {
        actual if actual < expected => return Err(Rejection::Truncated { expected, actual }),
        actual if actual > expected => return Err(Rejection::TooLong { expected, actual }),
        _ => {}
    }
    if entries.is_empty() {
        return Err(Rejection::NoTensors);
    }
    let tensor = |(name, entry): (String, TensorEntry)| {
        let (begin, end) = entry.data_offsets;
        let shape = entry.shape.0;
        Tensor { name, dtype: entry.dtype, shape, offset: start + begin, bytes: end - begin }
    };
    Ok((entries.into_iter().map(tensor).collect(), metadata, start))
}

/// Returns the bytes of all tensors, which must follow each other without gaps or overlaps, each as long as
/// its shape says where its type is known. They are sorted by offset.
fn data_len(entries: &[(String, TensorEntry)]) -> Result<u64, Rejection> {
    let mut len = 0;
    for (name, entry) in entries {
        let bad = |what| Rejection::BadHeader { reason: format!("{what} of tensor {name}") };
        let (begin, end) = entry.data_offsets;
        if begin != len {
            return Err(bad("invalid offset"));
        }
        let bytes = end.checked_sub(begin).ok_or_else(|| bad("invalid length"))?;
        if let Some(bits) = entry.dtype.bits() {
            let mut sizes = entry.shape.0.iter();
            let bits = sizes.try_fold(bits, |bits, size| bits.checked_mul(*size));
            let bits = bits.ok_or_else(|| bad("overflow in the shape"))?;
            if bits % 8 != 0 || bytes != bits / 8 {
                return Err(bad("invalid length"));
            }
        }
        len = end;
    }
    Ok(len)
}

/// Returns the header's length, which is within the file.
fn header_len(file: &Source) -> Result<u64, Rejection> {
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
    Ok(header)
}

fn header(file: &Source, len: u64) -> Result<Header, Rejection> {
    let parsed = if len <= AT_ONCE {
        serde_json::from_slice(&file.bytes(PREFIX, len as usize)?)
    } else {
        let pieces = Pieces { file, at: PREFIX, end: PREFIX + len };
        serde_json::from_reader(BufReader::with_capacity(64 << 10, pieces))
    };
    parsed.map_err(|error| match error.io_error_kind() {
        Some(io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof) => {
            Rejection::ChangedWhileRead
        }
        Some(_) => Rejection::Unreadable { doing: "read it", source: error.into() },
        None => Rejection::BadHeader { reason: error.to_string() },
    })
}

/// A range of a file, to be read once.
struct Pieces<'a> {
    file: &'a Source,
    at: u64,
    end: u64,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = (self.end - self.at).min(buffer.len() as u64);
        let part = &mut buffer[..len as usize];
        self.file.read(part, self.at).map_err(|rejection| match rejection {
            Rejection::Unreadable { source, .. } => source,
            _ => io::ErrorKind::UnexpectedEof.into(),
        })?;
        self.at += len;
        Ok(part.len())
    }
}
