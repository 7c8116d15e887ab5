//! What the fuzzer kept, once more.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        run(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", dir.display());
}

#[test]
fn safetensors_header() {
    replay("safetensors_header", hostile::safetensors_header);
}

#[test]
fn pickle() {
    replay("pickle", hostile::pickle);
}

#[test]
fn architecture() {
    replay("architecture", hostile::architecture);
}
