//! Writes torch files: a pickle in a zip archive.

use std::io::{Cursor, Write};

use goldens::pickle::{self, Node, pickle, text};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::specs::{Spec, size};

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

/// A file of before torch 1.6 with these storages, given with the size of an element.
pub(crate) fn legacy(top: &Node, storages: &[(&[u8], u64)]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    let machine = Node::Dict(vec![
        (text("protocol_version"), Node::Int(1001)),
        (text("little_endian"), Node::Bool(true)),
    ]);
    file.extend(pickle(&machine));
    file.extend(pickle(top));
    // torch sorts the keys as texts.
    let mut keys: Vec<(String, usize)> = (0..storages.len()).map(|i| (i.to_string(), i)).collect();
    keys.sort();
    file.extend(pickle(&Node::List(keys.iter().map(|(key, _)| text(key)).collect())));
    for (_, index) in keys {
        let (data, size) = storages[index];
        file.extend((data.len() as u64 / size).to_le_bytes());
        file.extend(data);
    }
    file
}

/// A file of before torch 1.6 with these tensors.
pub(crate) fn legacy_of(specs: &[Spec]) -> Vec<u8> {
    let storages: Vec<_> =
        specs.iter().map(|spec| (spec.data.as_slice(), size(spec.dtype))).collect();
    legacy(&state_dict(specs), &storages)
}
