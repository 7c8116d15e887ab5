//! A big checkpoint is usable by its header; what it is, is known once all of it was read.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use end_to_end::Workplace;
use serde_json::{Value, json};

/// Adds an unused tensor of so many zeros to a checkpoint.
fn enlarge(path: &Path, bytes: usize) {
    let file = fs::read(path).unwrap();
    let (length, rest) = file.split_at(8);
    let (header, data) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    header["unused"] = json!({
        "dtype": "U8", "shape": [bytes], "data_offsets": [data.len(), data.len() + bytes],
    });
    let header = serde_json::to_vec(&header).unwrap();
    let whole = [&(header.len() as u64).to_le_bytes()[..], &header, data].concat();
    fs::write(path, &whole).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len((whole.len() + bytes) as u64).unwrap();
}

#[test]
fn a_big_file_gets_the_same_ids_as_if_it_were_read_at_once() {
    let w = Workplace::new();
    let path = w.write_checkpoint("big.safetensors", 1);
    enlarge(&path, 40 << 20);
    let copy = w.model("copy.safetensors");
    fs::copy(&path, &copy).unwrap();
    let identified = w.ctl(&["identify", path.to_str().unwrap(), "--json"]).json();
    let _daemon = w.daemon();
    let mut watching = w.watch();
    watching.until("both are known to be one", |seen| {
        seen.checkpoints().len() == 1
            && seen.at(&path).is_some_and(|entry| entry.weights_id.is_some())
    });
    let entry = watching.at(&copy).unwrap();
    assert_eq!(json!(entry.weights_id), identified["weights_id"]);
    assert_eq!(json!(entry.unet_id), identified["unet_id"]);
    let status = w.ctl(&["status", "--json"]).json();
    assert_eq!(status["hashing"], json!({ "files": 0, "bytes": 0, "reading": [] }));
}
