//! Repeats the fuzzer's corpus.
#![allow(clippy::unwrap_used)]

use std::{fs::File, io::Read, path::Path};

use zip::ZipArchive;

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let path = corpus.join(target).with_extension("zip");
    let mut archive = ZipArchive::new(File::open(&path).unwrap()).unwrap();
    assert!(!archive.is_empty(), "{} is empty", path.display());
    for index in 0..archive.len() {
        let mut bytes = Vec::new();
        archive.by_index(index).unwrap().read_to_end(&mut bytes).unwrap();
        run(&bytes);
    }
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
fn torch_file() {
    replay("torch_file", hostile::torch_file);
}

#[test]
fn architecture() {
    replay("architecture", hostile::architecture);
}
