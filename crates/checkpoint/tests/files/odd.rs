//! Tensors that hold no data, or are not plain arrays of numbers.

use checkpoint::{Checkpoint, Rejection};
use goldens::pickle::{Node, arguments, call, numbers, storage, strides, tensor, text};

use crate::{
    containers::{data, same},
    open,
    pickler::{state_dict, torch, torch_of},
    refused, scratch,
    specs::{Spec, unet},
};

/// With check sums of 0 in the directory.
fn without_check_sums(mut file: Vec<u8>) -> Vec<u8> {
    for at in 0..file.len() - 4 {
        if file[at..].starts_with(b"PK\x01\x02") {
            file[at + 16..at + 20].fill(0);
        }
    }
    file
}

#[test]
fn files_that_hold_no_data_are_named() {
    let specs = unet(4, 768, None);
    same(&without_check_sums(torch_of(&specs)), &specs);
    let zeros: Vec<Spec> =
        specs.iter().map(|spec| Spec { data: vec![0; spec.data.len()], ..spec.clone() }).collect();
    // Zeros that somebody wrote are weights.
    open(&torch_of(&zeros)).unwrap();
    let rejection = refused(&without_check_sums(torch_of(&zeros)), "no data");
    assert!(matches!(rejection, Rejection::NoData { .. }));

    let meta = |spec: &Spec| {
        let half = Node::Global("torch", "float16");
        let (shape, strides) = (numbers(&spec.shape), numbers(&strides(&spec.shape)));
        let arguments = vec![half, shape, strides, Node::Bool(false)];
        call("torch._utils", "_rebuild_meta_tensor_no_storage", arguments)
    };
    let all = specs.iter().map(|spec| (text(&spec.name), meta(spec))).collect();
    let rejection = refused(&torch(&Node::Dict(all), &[]), "meta device");
    assert!(matches!(rejection, Rejection::NoData { .. }));
    assert_eq!(open(&with("extra", meta(&specs[0]))).unwrap().tensors.len(), specs.len() + 1);
}

/// A UNet and one more tensor, which may use storage 0.
fn with(name: &str, extra: Node) -> Vec<u8> {
    let specs = unet(4, 768, None);
    let Node::Built(dict, mut items, state) = state_dict(&specs) else { unreachable!() };
    items.retain(|(key, _)| !matches!(key, Node::Text(text) if text == name));
    items.push((text(name), extra));
    torch(&Node::Built(dict, items, state), &data(&specs))
}

#[test]
fn what_only_torch_has_is_refused_in_the_unet_alone() {
    let count = unet(4, 768, None)[0].data.len() as u64 / 2;
    let part = |offset| tensor(storage("F16", "0", count), offset, &[2, 2], &[2, 1]);
    let sparse = |values| {
        let layout = call("torch.serialization", "_get_layout", vec![text("torch.sparse_coo")]);
        let size = call("torch", "Size", vec![numbers(&[8, 768])]);
        let parts = Node::Tuple(vec![part(0), values, size, Node::Bool(true)]);
        call("torch._utils", "_rebuild_sparse_tensor", vec![layout, parts])
    };
    let outside = scratch(&with("extra", sparse(part(4))));
    let other = scratch(&with("extra", sparse(part(8))));
    let ids = |file: &crate::Scratch| Checkpoint::open(&file.path).unwrap().ids().unwrap();
    assert_eq!(ids(&outside).unet, ids(&other).unet);
    assert_ne!(ids(&outside).weights, ids(&other).weights, "what it holds counts");
    let name = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight";
    let rejection = refused(&with(name, sparse(part(4))), "sparse");
    assert!(
        matches!(rejection, Rejection::NotPlain { tensor, kind } if tensor == name && kind == "sparse")
    );

    let quantized = |class: &'static str| {
        let fields = vec![
            text("storage"),
            Node::Global("torch", class),
            text("0"),
            text("cpu"),
            Node::Int(16),
        ];
        let storage = Node::Persistent(Box::new(Node::Tuple(fields)));
        let scheme = Node::Tuple(vec![
            Node::Global("torch", "per_tensor_affine"),
            Node::Int(1),
            Node::Int(0),
        ]);
        let mut arguments = arguments(storage, 0, &[2, 8], &[8, 1]);
        arguments.insert(4, scheme);
        call("torch._utils", "_rebuild_qtensor", arguments)
    };
    open(&with("extra", quantized("QInt8Storage"))).unwrap();
    refused(&with(name, quantized("QInt8Storage")), "qint8");
}

#[test]
fn every_type_outside_the_unet_is_read() {
    for (dtype, bytes, shape) in [
        ("float8_e8m0fnu", 12, &[3, 4][..]),
        ("float8_e4m3fnuz", 12, &[3, 4]),
        ("float8_e5m2fnuz", 12, &[3, 4]),
        ("float4_e2m1fn_x2", 12, &[3, 8]),
        ("uint16", 24, &[3, 4]),
        ("complex64", 96, &[3, 4]),
        ("complex128", 192, &[3, 4]),
        ("bits16", 24, &[3, 4]),
    ] {
        let fields = vec![
            text("storage"),
            Node::Global("torch.storage", "UntypedStorage"),
            text("0"),
            text("cpu"),
            Node::Int(bytes),
        ];
        let storage = Node::Persistent(Box::new(Node::Tuple(fields)));
        let mut arguments = arguments(storage, 0, &[3, 4], &[4, 1]);
        arguments.push(Node::Global("torch", dtype));
        let file = with("extra", call("torch._utils", "_rebuild_tensor_v3", arguments));
        let checkpoint = open(&file).unwrap();
        let found = checkpoint.tensors.iter().find(|tensor| tensor.name == "extra").unwrap();
        assert_eq!((found.bytes as i64, &found.shape[..]), (bytes, shape), "{dtype}");
    }
}
