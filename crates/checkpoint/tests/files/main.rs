//! Whole files, valid and invalid, through the public API. Every rejection is tested here or in the unit
//! tests beside the code.

// clippy.toml allows it in functions marked as tests; here, everything is a test.
#![allow(clippy::unwrap_used)]

mod containers;
mod content;
mod diffusers;
mod ids;
mod not_checkpoints;
mod odd;
mod pickler;
mod quantised;
mod random;
mod safetensors;
mod specs;
mod strides;
mod torch;

use std::path::PathBuf;

use checkpoint::{Checkpoint, Rejection};

/// A file in its own temporary folder, deleted when dropped.
struct Scratch {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn scratch(content: &[u8]) -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, content).unwrap();
    Scratch { _folder: folder, path }
}

fn open(content: &[u8]) -> Result<Checkpoint, Rejection> {
    Checkpoint::open(&scratch(content).path)
}

/// Asserts that the content is refused with these words.
#[track_caller]
fn refused(content: &[u8], words: &str) -> Rejection {
    let rejection = open(content).unwrap_err();
    let text = rejection.to_string();
    assert!(text.contains(words), "{text:?} does not contain {words:?}");
    rejection
}
