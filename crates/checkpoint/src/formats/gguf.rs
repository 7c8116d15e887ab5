//! GGUF, the format of llama.cpp, in which quantised models are passed on too: what it says of itself.
//!
//! Source: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, version 2 and 3.

use crate::{
    file::Source,
    kinds,
    metadata::HeaderMetadata,
    rejection::Rejection,
    tensor::{Dtype, Tensor},
};

pub(super) const MAGIC: &[u8] = b"GGUF";

/// The most bytes that are read: a language model's vocabulary takes some megabytes.
const LIMIT: u64 = 64 << 20;

/// Bytes read at a time.
const PIECE: usize = 64 << 10;

/// The most tensors whose names are looked at, and the longest name.
const TENSORS: u64 = 1 << 14;
const NAME: u64 = 1 << 10;

/// `general.architecture` as ComfyUI-GGUF's converter and loader have it (tools/convert.py, loader.py), and what it is.
const ARCHITECTURES: [(&str, &str); 27] = [
    ("sd1", "a Stable Diffusion 1 UNet"),
    ("sdxl", "an SDXL UNet"),
    ("sd3", "Stable Diffusion 3"),
    ("flux", "Flux"),
    ("flux2", "Flux.2"),
    ("aura", "AuraFlow"),
    ("hidream", "HiDream"),
    ("cosmos", "Cosmos"),
    ("ltxv", "LTX-Video"),
    ("hyvid", "HunyuanVideo"),
    ("wan", "Wan"),
    ("lumina2", "Lumina 2 or Z-Image"),
    ("qwen_image", "Qwen-Image"),
    ("mochi", "Mochi"),
    ("chroma", "Chroma"),
    ("pig", "a model of gguf-connector"),
    ("t5", "a T5 text encoder"),
    ("t5encoder", "a T5 text encoder"),
    ("clip", "a CLIP encoder"),
    ("llama", "a language model"),
    ("qwen2vl", "a language model"),
    ("qwen3", "a language model"),
    ("qwen3vl", "a language model"),
    ("gemma2", "a language model"),
    ("gemma3", "a language model"),
    ("mistral3", "a language model"),
    ("gpt2", "a language model"),
];

/// Says what a GGUF file is.
pub(super) fn what_it_is(file: &Source) -> Rejection {
    let mut reader = GgufReader { file, at: MAGIC.len() as u64, piece: Vec::new(), start: 0 };
    let model = contents(&mut reader).unwrap_or_else(|| "an unknown model".to_owned());
    if model.ends_with("UNet") { Rejection::GgufUnet { model } } else { Rejection::Gguf { model } }
}

/// The model, as far as the file is understood.
fn contents(reader: &mut GgufReader<'_>) -> Option<String> {
    let (_version, tensors, pairs) = (reader.u32()?, reader.u64()?, reader.u64()?);
    for _ in 0..pairs.min(LIMIT) {
        let key = reader.text()?;
        let kind = reader.u32()?;
        if key == "general.architecture" && kind == TEXT {
            let name = reader.text()?;
            let known = ARCHITECTURES.iter().find(|(known, _)| *known == name);
            return Some(known.map_or_else(
                || format!("the architecture {name:?}"),
                |(_, what)| (*what).to_owned(),
            ));
        }
        reader.skip_value(kind, 0)?;
    }
    // stable-diffusion.cpp writes none; the tensors keep their names.
    let mut found = Vec::new();
    for _ in 0..tensors.min(TENSORS) {
        let name = reader.text()?;
        let rank = reader.u32()?;
        let mut shape: Vec<u64> = (0..rank.min(8)).map(|_| reader.u64()).collect::<Option<_>>()?;
        shape.reverse();
        reader.skip(4 + 8)?;
        found.push(Tensor { name, dtype: Dtype::U8, shape, offset: 0, bytes: 0 });
    }
    let is_unet = |tensor: &Tensor| kinds::bare(&tensor.name) == "input_blocks.0.0.weight";
    let other =
        || kinds::what_it_is(&found, &HeaderMetadata::default()).map(|kind| kind.name.to_owned());
    if found.iter().any(is_unet) { Some("a Stable Diffusion UNet".to_owned()) } else { other() }
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Reads forward, a piece at a time, up to [`LIMIT`].
struct GgufReader<'a> {
    file: &'a Source,
    at: u64,
    piece: Vec<u8>,
    start: u64,
}

impl GgufReader<'_> {
    fn bytes<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let offset = usize::try_from(self.at.checked_sub(self.start)?).ok()?;
        if let Some(bytes) = self.piece.get(offset..).and_then(|rest| rest.first_chunk()) {
            self.at += LEN as u64;
            return Some(*bytes);
        }
        let rest = self.file.len().min(LIMIT).checked_sub(self.at)?;
        let len = usize::try_from(rest).ok()?.min(PIECE);
        self.piece = self.file.bytes(self.at, len).ok()?.into_owned();
        self.start = self.at;
        let bytes = *self.piece.first_chunk()?;
        self.at += LEN as u64;
        Some(bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let len = self.u64().filter(|len| *len <= NAME)?;
        let bytes =
            (0..len).map(|_| self.bytes().map(|[byte]| byte)).collect::<Option<Vec<u8>>>()?;
        String::from_utf8(bytes).ok()
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= LIMIT)?;
        Some(())
    }

    /// Skips a value of this type; arrays may be of arrays.
    fn skip_value(&mut self, kind: u32, depth: u8) -> Option<()> {
        match kind {
            0 | 1 | 7 => self.skip(1),
            2 | 3 => self.skip(2),
            4..=6 => self.skip(4),
            10..=12 => self.skip(8),
            TEXT => {
                let len = self.u64()?;
                self.skip(len)
            }
            ARRAY if depth < 4 => {
                let (of, len) = (self.u32()?, self.u64()?);
                for _ in 0..len.min(LIMIT) {
                    self.skip_value(of, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}
