//! File formats, recognized by their first bytes.

mod gguf;
mod header;
mod safetensors;
mod torch;
mod zip;

use crate::{
    file::Source, metadata::HeaderMetadata, rejection::Rejection, tensor::Tensor, view::Views,
};

/// Enough to contain a tar header's magic, which ends at byte 262.
const PEEK: u64 = 512;

/// Which front ends refuse a torch file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    /// Why A1111 does, to follow a colon.
    pub(crate) by_a1111: Option<String>,
    /// Whether torch's own restricted reader does, which ComfyUI uses.
    pub(crate) by_comfyui: bool,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Its tensors by their names in the file. Every range is within the file, or a view's.
    pub(crate) tensors: Vec<Tensor>,
    /// What it says of itself.
    pub(crate) metadata: HeaderMetadata,
    /// Where a safetensors file's tensors start, after its header.
    pub(crate) data: Option<u64>,
    /// How those are read that do not lie in it as they are.
    pub(crate) views: Views,
    /// Which front ends refuse the file, whatever UNet is in it.
    pub(crate) refused: Refused,
}

impl Contents {
    /// Position and size of those tensors of a file of `len` bytes that lie in it as they are.
    fn in_place(&self, len: u64) -> impl Iterator<Item = (u64, u64)> {
        let ranges = self.tensors.iter().map(|tensor| (tensor.offset, tensor.bytes));
        ranges.filter(move |(offset, _)| *offset < len)
    }
}

/// Reads what a file contains, but not its tensors' data.
pub(crate) fn contents(file: &Source) -> Result<Contents, Rejection> {
    let start = file.bytes(0, file.len().min(PEEK) as usize)?;
    if let Some(rejection) = what_else(&start) {
        return Err(rejection);
    }
    match *start {
        [b'P', b'K', ..] => torch::from_archive(file),
        [b'G', b'G', b'U', b'F', ..] => Err(gguf::what_it_is(file)),
        // As far down as this, it can't be the length of a safetensors header.
        [0x80, 2..=5, ..] if start.get(8) != Some(&b'{') => torch::from_pickles(file),
        _ => {
            let (tensors, metadata, data) = safetensors::tensors(file)?;
            Ok(Contents { tensors, metadata, data: Some(data), ..Contents::default() })
        }
    }
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
        return None;
    }
    let text = start.trim_ascii_start();
    let page = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).first();
    // A server may send its error message as JSON.
    (matches!(page, Some(b'<' | b'{')) && text.iter().take(64).all(|byte| *byte >= b'\t'))
        .then_some(Rejection::WebPage)
}
