//! Puts any bytes in place of a checkpoint's own: in a safetensors header, a pickle, or the list of a UNet's
//! tensors. Nothing may panic or take much memory.
//!
//! `fuzz/` generates such bytes, and the tests here repeat those in its corpus.

// Without fixtures or memory, these tests can't run.
#![allow(clippy::unwrap_used)]

mod changes;
mod file;

use std::io::{Cursor, Write};

use serde_json::json;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use file::{read, with_header};

/// Bytes of the storage that a pickle may describe.
const STORAGE: usize = 1 << 16;

/// The bytes as a whole file, and as a header with as much data as it declares.
pub fn safetensors_header(bytes: &[u8]) {
    read(bytes);
    read(&with_header(bytes));
}

/// The bytes as the pickle of a torch file: in an archive, in a deflated one, and in the format of before torch 1.6.
///
/// # Panics
/// If the file in memory can't be written.
pub fn pickle(bytes: &[u8]) {
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(method);
        for (name, content) in [("m/data.pkl", bytes), ("m/data/0", &[0; STORAGE])] {
            archive
                .start_file(name, options)
                .and_then(|()| Ok(archive.write_all(content)?))
                .unwrap();
        }
        read(&archive.finish().unwrap().into_inner());
    }
    // The number that marks the format, its version, an empty dict; then the keys and one storage of bytes.
    let start: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let storage = (STORAGE as u64).to_le_bytes();
    read(&[start, bytes, b"\x80\x02]U\x010a.", &storage, &[0; STORAGE]].concat());
}

/// The bytes as a torch file, from its first to its last.
pub fn torch_file(bytes: &[u8]) {
    read(bytes);
}

/// A golden checkpoint's tensors, with the changes that the bytes encode.
///
/// # Panics
/// If the fixtures are missing.
pub fn architecture(bytes: &[u8]) {
    let tensors = changes::tensors(bytes);
    let mut header = serde_json::Map::new();
    let mut end = 0u64;
    for (name, shape) in tensors {
        let start = end;
        let bytes = shape.iter().try_fold(2, |bytes: u64, size| bytes.checked_mul(*size));
        let Some(next) = bytes.and_then(|bytes| end.checked_add(bytes)) else { return };
        end = next;
        let tensor = json!({"dtype": "F16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name, tensor);
    }
    read(&with_header(serde_json::Value::Object(header).to_string().as_bytes()));
}
