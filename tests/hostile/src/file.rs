//! Reads files in memory as checkpoints.

use std::{
    fs::File,
    io::Write,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use checkpoint::{Checkpoint, Rejection};
use rustix::fs::{MemfdFlags, memfd_create};
use unet::{Graph, Precision};

/// Files up to this size are also hashed.
const HASHED: u64 = 1 << 20;

/// The longest file; nearly all of it is a hole.
const LONGEST: u64 = 1 << 42;

/// A safetensors file with this header and without data.
pub(crate) fn with_header(header: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header].concat()
}

/// Does everything that the project does with a file before it builds an engine. If the file is called cut
/// short, a hole is appended, so that more than its header is tested.
pub(crate) fn read(content: &[u8]) {
    let mut file = File::from(memfd_create("hostile", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(content).unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    match Checkpoint::open(&path) {
        Ok(checkpoint) => use_it(&checkpoint),
        Err(Rejection::Truncated { expected, .. }) if expected < LONGEST => {
            file.set_len(expected).unwrap();
            open(&path);
        }
        Err(rejection) => drop(rejection.to_string()),
    }
}

fn open(path: &Path) {
    match Checkpoint::open(path) {
        Ok(checkpoint) => use_it(&checkpoint),
        Err(rejection) => drop(rejection.to_string()),
    }
}

fn use_it(checkpoint: &Checkpoint) {
    let bytes: u64 = checkpoint.tensors.iter().map(|tensor| tensor.bytes).sum();
    if bytes <= HASHED {
        let _ = checkpoint.ids();
    }
    for precision in [Precision::Fp16, Precision::Fp32] {
        match Graph::new(&checkpoint.architecture, &checkpoint.tensors, precision) {
            Ok(graph) => drop(graph.to_onnx("weights")),
            Err(error) => drop(error.to_string()),
        }
    }
}
