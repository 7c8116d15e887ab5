//! File formats, recognized by their first bytes.

mod gguf;
mod header;
mod safetensors;
mod torch;
mod zip;

use crate::{file::Source, metadata::HeaderMetadata, rejection::Rejection, tensor::Tensor};

/// Enough to contain a tar header's magic, which ends at byte 262.
const PEEK: u64 = 512;

/// Lists a file's tensors by their names in the file, and what it says of itself.
///
/// Every range is within the file.
pub(crate) fn tensors(file: &Source) -> Result<(Vec<Tensor>, HeaderMetadata), Rejection> {
    let start = file.bytes(0, file.len().min(PEEK) as usize)?;
    if let Some(rejection) = what_else(&start) {
        return Err(rejection);
    }
    if start.starts_with(gguf::MAGIC) {
        return Err(gguf::what_it_is(file));
    }
    if start.starts_with(b"PK") {
        return Ok((torch::tensors(file)?, HeaderMetadata::default()));
    }
    safetensors::tensors(file)
}

/// Recognizes files that are neither safetensors nor zip archives.
fn what_else(start: &[u8]) -> Option<Rejection> {
    if start.is_empty() {
        return Some(Rejection::Empty);
    }
    // A safetensors header starts with '{'; its length can be any bytes.
    if start.get(8) == Some(&b'{') || start.starts_with(gguf::MAGIC) {
        return None;
    }
    if start.starts_with(b"version https://git-lfs") {
        return Some(Rejection::GitLfsPointer);
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(Rejection::LegacyTar);
    }
    if let [0x80, 2..=5, ..] = start {
        return Some(Rejection::LegacyPickle);
    }
    let text = start.trim_ascii_start();
    let page = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).first();
    // A server may send its error message as JSON.
    (matches!(page, Some(b'<' | b'{')) && text.iter().take(64).all(|byte| *byte >= b'\t'))
        .then_some(Rejection::WebPage)
}
