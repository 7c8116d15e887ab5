//! Pickles in torch's form: the description of the tensors in a `.ckpt` file.

/// A value to pickle.
#[derive(Clone, Debug)]
pub enum Node {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
    /// A tuple.
    Tuple(Vec<Node>),
    /// A list.
    List(Vec<Node>),
    /// A dict.
    Dict(Vec<(Node, Node)>),
    /// Module and name.
    Global(&'static str, &'static str),
    /// A callable and its arguments.
    Call(Box<Node>, Vec<Node>),
    /// A persistent id.
    Persistent(Box<Node>),
    /// An object, its items and its state.
    Built(Box<Node>, Vec<(Node, Node)>, Box<Node>),
}

/// A string.
pub fn text(text: &str) -> Node {
    Node::Text(text.into())
}

/// A call of `module.name`.
pub fn call(module: &'static str, name: &'static str, arguments: Vec<Node>) -> Node {
    Node::Call(Box::new(Node::Global(module, name)), arguments)
}

/// Pickles with protocol 2, as torch does by default.
pub fn pickle(node: &Node) -> Vec<u8> {
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
        "C128" => "ComplexDoubleStorage",
        "C64" => "ComplexFloatStorage",
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

/// A storage of `count` elements in the archive's entry `data/KEY`; `dtype` is a safetensors name.
pub fn storage(dtype: &str, key: &str, count: u64) -> Node {
    Node::Persistent(Box::new(Node::Tuple(vec![
        text("storage"),
        Node::Global("torch", class(dtype)),
        text(key),
        text("cpu"),
        Node::Int(count as i64),
    ])))
}

/// A tuple of integers.
pub fn numbers(numbers: &[u64]) -> Node {
    Node::Tuple(numbers.iter().map(|number| Node::Int(*number as i64)).collect())
}

/// The strides of a contiguous tensor.
pub fn strides(shape: &[u64]) -> Vec<u64> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

/// A view of a storage; offset and strides in elements.
pub fn tensor(storage: Node, offset: u64, shape: &[u64], strides: &[u64]) -> Node {
    call("torch._utils", "_rebuild_tensor_v2", arguments(storage, offset, shape, strides))
}

/// What [`tensor`] is made with.
pub fn arguments(storage: Node, offset: u64, shape: &[u64], strides: &[u64]) -> Vec<Node> {
    let hooks = call("collections", "OrderedDict", vec![]);
    vec![
        storage,
        Node::Int(offset as i64),
        numbers(shape),
        numbers(strides),
        Node::Bool(false),
        hooks,
    ]
}

/// A state dict of tensors, given as name, dtype and shape, each in its own numbered storage.
pub fn state_dict<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a str, &'a [u64])>) -> Node {
    let items = (0u64..).zip(tensors).map(|(number, (name, dtype, shape))| {
        let storage = storage(dtype, &number.to_string(), shape.iter().product());
        (text(name), tensor(storage, 0, shape, &strides(shape)))
    });
    let metadata = Node::Dict(vec![(text("version"), Node::Int(1))]);
    let state = Node::Dict(vec![(text("_metadata"), metadata)]);
    let dict = call("collections", "OrderedDict", vec![]);
    Node::Built(Box::new(dict), items.collect(), Box::new(state))
}
