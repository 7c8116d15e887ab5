//! Writes torch files: a pickle in a zip archive.

use std::io::{Cursor, Write};

use goldens::pickle::{self, Node, pickle};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::specs::Spec;

/// A state dict in torch's form.
pub(crate) fn state_dict(specs: &[Spec]) -> Node {
    pickle::state_dict(specs.iter().map(|spec| (&spec.name[..], spec.dtype, &spec.shape[..])))
}

/// The entries of a torch file.
pub(crate) fn entries(top: &Node, storages: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let mut entries =
        vec![("m/data.pkl".into(), pickle(top)), ("m/byteorder".into(), b"little".to_vec())];
    for (i, data) in storages.iter().enumerate() {
        entries.push((format!("m/data/{i}"), data.to_vec()));
    }
    entries.push(("m/version".into(), b"3\n".to_vec()));
    entries
}

/// A zip archive.
pub(crate) fn archive(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method).with_alignment(64);
    for (name, data) in entries {
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A torch file with these storages.
pub(crate) fn torch(top: &Node, storages: &[&[u8]]) -> Vec<u8> {
    archive(&entries(top, storages), CompressionMethod::Stored)
}

/// A torch file with these tensors.
pub(crate) fn torch_of(specs: &[Spec]) -> Vec<u8> {
    let storages: Vec<_> = specs.iter().map(|spec| spec.data.as_slice()).collect();
    torch(&state_dict(specs), &storages)
}
