//! A writer of torch files: a small pickler and a zip archive around it.

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::specs::{Spec, size};

/// What can be pickled.
#[derive(Clone)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Tuple(Vec<Node>),
    List(Vec<Node>),
    Dict(Vec<(Node, Node)>),
    Global(&'static str, &'static str),
    Call(Box<Node>, Vec<Node>),
    /// A persistent id.
    Persistent(Box<Node>),
    /// An object, some items, and a state.
    Built(Box<Node>, Vec<(Node, Node)>, Box<Node>),
}

pub(crate) fn text(text: &str) -> Node {
    Node::Text(text.into())
}

pub(crate) fn call(module: &'static str, name: &'static str, arguments: Vec<Node>) -> Node {
    Node::Call(Box::new(Node::Global(module, name)), arguments)
}

/// Pickles with protocol 2, as torch does by default.
pub(crate) fn pickle(node: &Node) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    let mut memo = 0;
    emit(node, &mut out, &mut memo);
    out.push(b'.');
    out
}

fn emit(node: &Node, out: &mut Vec<u8>, memo: &mut u32) {
    match node {
        Node::None => out.push(b'N'),
        Node::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
        Node::Int(value) => {
            out.extend([0x8a, 8]);
            out.extend(value.to_le_bytes());
        }
        Node::Text(text) => {
            out.push(b'X');
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
            out.push(b'r');
            out.extend(memo.to_le_bytes());
            *memo += 1;
        }
        Node::Tuple(items) => {
            out.push(b'(');
            items.iter().for_each(|item| emit(item, out, memo));
            out.push(b't');
        }
        Node::List(items) => {
            out.extend(b"](");
            items.iter().for_each(|item| emit(item, out, memo));
            out.push(b'e');
        }
        Node::Dict(items) => {
            out.push(b'}');
            emit_items(items, out, memo);
        }
        Node::Global(module, name) => out.extend(format!("c{module}\n{name}\n").into_bytes()),
        Node::Call(callee, arguments) => {
            emit(callee, out, memo);
            emit(&Node::Tuple(arguments.clone()), out, memo);
            out.push(b'R');
        }
        Node::Persistent(id) => {
            emit(id, out, memo);
            out.push(b'Q');
        }
        Node::Built(object, items, state) => {
            emit(object, out, memo);
            emit_items(items, out, memo);
            emit(state, out, memo);
            out.push(b'b');
        }
    }
}

fn emit_items(items: &[(Node, Node)], out: &mut Vec<u8>, memo: &mut u32) {
    out.push(b'(');
    for (key, value) in items {
        emit(key, out, memo);
        emit(value, out, memo);
    }
    out.push(b'u');
}

fn class(dtype: &str) -> &'static str {
    match dtype {
        "F64" => "DoubleStorage",
        "F32" => "FloatStorage",
        "F16" => "HalfStorage",
        "BF16" => "BFloat16Storage",
        "I64" => "LongStorage",
        "I32" => "IntStorage",
        "I16" => "ShortStorage",
        "I8" => "CharStorage",
        "BOOL" => "BoolStorage",
        _ => "ByteStorage",
    }
}

pub(crate) fn storage(dtype: &str, key: &str, count: u64) -> Node {
    Node::Persistent(Box::new(Node::Tuple(vec![
        text("storage"),
        Node::Global("torch", class(dtype)),
        text(key),
        text("cpu"),
        Node::Int(count as i64),
    ])))
}

pub(crate) fn numbers(numbers: &[u64]) -> Node {
    Node::Tuple(numbers.iter().map(|number| Node::Int(*number as i64)).collect())
}

pub(crate) fn strides(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

pub(crate) fn tensor(storage: Node, offset: u64, shape: &[u64], strides: &[u64]) -> Node {
    let hooks = call("collections", "OrderedDict", vec![]);
    let arguments = vec![
        storage,
        Node::Int(offset as i64),
        numbers(shape),
        numbers(strides),
        Node::Bool(false),
        hooks,
    ];
    call("torch._utils", "_rebuild_tensor_v2", arguments)
}

/// A state dict as torch pickles one, each tensor in a storage of its own.
pub(crate) fn state_dict(specs: &[Spec]) -> Node {
    let items = specs.iter().enumerate().map(|(i, spec)| {
        let count = spec.data.len() as u64 / size(spec.dtype);
        let storage = storage(spec.dtype, &i.to_string(), count);
        (text(&spec.name), tensor(storage, 0, &spec.shape, &strides(&spec.shape)))
    });
    let metadata = Node::Dict(vec![(text("version"), Node::Int(1))]);
    let state = Node::Dict(vec![(text("_metadata"), metadata)]);
    let dict = call("collections", "OrderedDict", vec![]);
    Node::Built(Box::new(dict), items.collect(), Box::new(state))
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

/// A torch file of these storages.
pub(crate) fn torch(top: &Node, storages: &[&[u8]]) -> Vec<u8> {
    archive(&entries(top, storages), CompressionMethod::Stored)
}

/// A torch file of these tensors.
pub(crate) fn torch_of(specs: &[Spec]) -> Vec<u8> {
    let storages: Vec<_> = specs.iter().map(|spec| spec.data.as_slice()).collect();
    torch(&state_dict(specs), &storages)
}
