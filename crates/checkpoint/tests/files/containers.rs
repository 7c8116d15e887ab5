//! The ways in which people and tools wrap a state dict, and what stands beside it.

use checkpoint::{Checkpoint, Rejection, Remark};
use goldens::pickle::{Node, arguments, call, numbers, storage, strides, tensor, text};
use zip::CompressionMethod;

use crate::{
    open,
    pickler::{archive, entries, legacy, legacy_of, state_dict, torch, torch_of},
    refused, scratch,
    specs::{Spec, sd1, spec},
};

pub(crate) fn data(specs: &[Spec]) -> Vec<&[u8]> {
    specs.iter().map(|spec| spec.data.as_slice()).collect()
}

#[track_caller]
pub(crate) fn same(file: &[u8], specs: &[Spec]) -> Checkpoint {
    let (found, plain) = (scratch(file), scratch(&torch_of(specs)));
    let checkpoint = Checkpoint::open(&found.path).unwrap();
    let expected = Checkpoint::open(&plain.path).unwrap();
    assert_eq!(checkpoint.ids().unwrap(), expected.ids().unwrap());
    checkpoint
}

/// What is said of A1111 because of the file, whatever UNet is in it.
fn in_a1111(checkpoint: &Checkpoint) -> Option<String> {
    let remarks = checkpoint.remarks();
    let mut torch = remarks.iter().filter(|remark| matches!(remark, Remark::TorchFile(_)));
    torch.next().map(ToString::to_string)
}

/// A state dict whose tensors are made by this.
fn made(specs: &[Spec], make: impl Fn(Vec<Node>) -> Node) -> Node {
    let items = specs.iter().enumerate().map(|(number, spec)| {
        let count = spec.shape.iter().product();
        let storage = storage(spec.dtype, &number.to_string(), count);
        (text(&spec.name), make(arguments(storage, 0, &spec.shape, &strides(&spec.shape))))
    });
    Node::Dict(items.collect())
}

/// Writes a tensor from the arguments of `_rebuild_tensor_v2`.
type Way<'a> = Box<dyn Fn(Vec<Node>) -> Node + 'a>;

#[test]
fn every_way_to_write_a_tensor_is_read() {
    let specs = sd1();
    let utils = "torch._utils";
    let v2 = Node::Global(utils, "_rebuild_tensor_v2");
    let state = || Node::Dict(vec![(text("note"), Node::List(vec![Node::Int(1)]))]);
    let hooks = || call("collections", "OrderedDict", vec![]);
    let ways: [(&str, Way<'_>); 8] = [
        ("v1", Box::new(|arguments| call(utils, "_rebuild_tensor", arguments[..4].to_vec()))),
        ("v2", Box::new(|arguments| call(utils, "_rebuild_tensor_v2", arguments))),
        (
            "parameter",
            Box::new(|arguments| {
                let tensor = call(utils, "_rebuild_tensor_v2", arguments);
                call(utils, "_rebuild_parameter", vec![tensor, Node::Bool(true), hooks()])
            }),
        ),
        (
            "parameter with attributes",
            Box::new(|arguments| {
                let tensor = call(utils, "_rebuild_tensor_v2", arguments);
                let arguments = vec![tensor, Node::Bool(true), hooks(), state()];
                call(utils, "_rebuild_parameter_with_state", arguments)
            }),
        ),
        (
            "tensor with attributes",
            Box::new(|arguments| {
                let class = Node::Global("torch", "Tensor");
                let arguments = vec![v2.clone(), class, Node::Tuple(arguments), state()];
                call("torch._tensor", "_rebuild_from_type_v2", arguments)
            }),
        ),
        (
            "parameter class",
            Box::new(|arguments| {
                let tensor = call(utils, "_rebuild_tensor_v2", arguments);
                call("torch.nn.parameter", "Parameter", vec![tensor, Node::Bool(false)])
            }),
        ),
        (
            "of another device",
            Box::new(|arguments| {
                let tensor = call(utils, "_rebuild_tensor_v2", arguments);
                let half = Node::Global("torch", "float16");
                let arguments = vec![tensor, half, text("xla:0"), Node::Bool(false)];
                call(utils, "_rebuild_device_tensor_from_cpu_tensor", arguments)
            }),
        ),
        (
            "with a size",
            Box::new(|mut arguments| {
                arguments[2] = call("torch", "Size", vec![arguments[2].clone()]);
                call(utils, "_rebuild_tensor_v2", arguments)
            }),
        ),
    ];
    for (way, make) in ways {
        let checkpoint = same(&torch(&made(&specs, make), &data(&specs)), &specs);
        let known = ["v2", "parameter"].contains(&way);
        assert_eq!(in_a1111(&checkpoint).is_none(), known, "{way}");
    }
    // It calls nothing but what makes one tensor.
    let nested = call(
        "torch._tensor",
        "_rebuild_from_type_v2",
        vec![
            Node::Global("torch._tensor", "_rebuild_from_type_v2"),
            Node::Global("torch", "Tensor"),
            Node::Tuple(vec![]),
            Node::None,
        ],
    );
    refused(&torch(&Node::Dict(vec![(text("a"), nested)]), &[]), "wrong arguments");
}

#[test]
fn what_is_beside_a_state_dict_does_not_matter() {
    let specs = sd1();
    let counter = call("collections", "Counter", vec![Node::Dict(vec![(text("a"), Node::Int(1))])]);
    for (name, beside) in [
        ("torch.device", call("torch", "device", vec![text("cuda"), Node::Int(0)])),
        ("torch.Size", call("torch", "Size", vec![numbers(&[1, 2])])),
        ("collections.Counter", counter),
        ("torch.float8_e8m0fnu", Node::Global("torch", "float8_e8m0fnu")),
        (
            "torch.serialization._get_layout",
            call("torch.serialization", "_get_layout", vec![text("torch.strided")]),
        ),
        ("builtins.complex", call("builtins", "complex", vec![Node::Int(1), Node::Int(2)])),
        ("builtins.bytearray", call("builtins", "bytearray", vec![text("x")])),
        ("torch.quint8", Node::Global("torch", "quint8")),
    ] {
        let top = Node::Dict(vec![(text("x"), beside), (text("state_dict"), state_dict(&specs))]);
        let checkpoint = same(&torch(&top, &data(&specs)), &specs);
        let why = in_a1111(&checkpoint).unwrap();
        assert!(why.contains(name), "{why}");
    }
    // What is on nobody's list stays refused, harmless or not.
    for (module, name) in [("pathlib", "PosixPath"), ("torch.nn.modules.linear", "Linear")] {
        let beside = call(module, name, vec![text("x")]);
        let top = Node::Dict(vec![(text("x"), beside), (text("state_dict"), state_dict(&specs))]);
        for file in [torch(&top, &data(&specs)), legacy(&top, &[])] {
            let rejection = refused(&file, &format!("{module}.{name}"));
            assert!(matches!(rejection, Rejection::ForbiddenGlobal { .. }));
        }
    }
}

#[test]
fn a_state_dict_is_found_where_front_ends_find_it() {
    let specs = sd1();
    let wrapped = |key: &str, beside: Option<&str>| {
        let mut items = vec![(text(key), state_dict(&specs))];
        items.extend(beside.map(|key| (text(key), Node::Int(1))));
        torch(&Node::Dict(items), &data(&specs))
    };
    assert_eq!(in_a1111(&same(&torch_of(&specs), &specs)), None);
    assert_eq!(in_a1111(&same(&wrapped("state_dict", Some("epoch")), &specs)), None);
    let why = in_a1111(&same(&wrapped("model", None), &specs)).unwrap();
    assert!(why.contains("`model`"), "{why}");
    let rejection = refused(&wrapped("model", Some("epoch")), "in `model`");
    assert!(matches!(rejection, Rejection::Nested { key } if key == "model"));
}

#[test]
fn files_of_before_torch_1_6_are_read() {
    let specs = sd1();
    let good = legacy_of(&specs);
    assert_eq!(in_a1111(&same(&good, &specs)), None);
    for len in [good.len() - 1, good.len() - specs.last().unwrap().data.len() - 9] {
        let rejection = refused(&good[..len], "cut short");
        assert!(matches!(rejection, Rejection::Truncated { actual, .. } if actual == len as u64));
    }
    refused(&good[..100], "damaged pickle");
    let little = good.windows(13).position(|bytes| bytes == b"little_endian").unwrap() + 18;
    let mut big = good.clone();
    assert_eq!(big[little], 0x88);
    big[little] = 0x89;
    assert!(matches!(refused(&big, "big-endian"), Rejection::BigEndian));

    // torch before 0.4 wrote parts of storages.
    let Node::Dict(mut items) =
        made(&specs, |arguments| call("torch._utils", "_rebuild_tensor", arguments[..4].to_vec()))
    else {
        unreachable!()
    };
    let mut extended = specs.clone();
    let whole = spec("part", "F16", &[100]);
    let Node::Persistent(id) = storage("F16", &specs.len().to_string(), 100) else {
        unreachable!()
    };
    let Node::Tuple(mut id) = *id else { unreachable!() };
    id.push(Node::Tuple(vec![text("view"), Node::Int(10), Node::Int(20)]));
    let view =
        |offset| tensor(Node::Persistent(Box::new(Node::Tuple(id.clone()))), offset, &[8], &[1]);
    items.push((text("part"), view(5)));
    let sizes: Vec<(&[u8], u64)> =
        specs.iter().map(|spec| (spec.data.as_slice(), crate::specs::size(spec.dtype))).collect();
    let storages = [&sizes[..], &[(&whole.data[..], 2)]].concat();
    let file = legacy(&Node::Dict(items.clone()), &storages);
    extended.push(Spec { data: whole.data[30..46].to_vec(), shape: vec![8], ..whole.clone() });
    same(&file, &extended);
    items.last_mut().unwrap().1 = view(13);
    refused(&legacy(&Node::Dict(items), &storages), "reaches beyond");
}

/// torch 2.7 and later write two more entries; A1111 calls these files malicious, and reads older ones.
#[test]
fn what_a1111_refuses_is_said() {
    let specs = sd1();
    let good = entries(&state_dict(&specs), &data(&specs));
    let with = |extra: &[&str]| {
        let mut entries = good.clone();
        entries.extend(extra.iter().map(|name| ((*name).to_owned(), b"1".to_vec())));
        archive(&entries, CompressionMethod::Stored)
    };
    for (extra, expected) in [
        (&[][..], None),
        (&["m/.data/serialization_id"], None),
        (
            &["m/.format_version", "m/.storage_alignment"],
            Some("m/.format_version, which torch writes since 2.7"),
        ),
        (&["m/data/x"], Some("m/data/x")),
        (&["m/code/__torch__.py"], Some("m/code/__torch__.py")),
        (&["readme"], Some("readme")),
    ] {
        let why = in_a1111(&open(&with(extra)).unwrap());
        match (&why, expected) {
            (Some(why), Some(expected)) => assert!(why.contains(expected), "{why}"),
            (why, expected) => assert_eq!(why.as_deref(), expected),
        }
    }
}

/// torch.load's safe mode, which ComfyUI uses, reads no protocol later than 3; A1111's check does.
#[test]
fn what_comfyui_refuses_is_said() {
    let specs = sd1();
    let said = |file: &[u8]| {
        let remarks = open(file).unwrap().remarks();
        let all = remarks.iter().map(ToString::to_string);
        all.filter(|said| said.contains("pickle protocol")).collect::<Vec<_>>()
    };
    let good = entries(&state_dict(&specs), &data(&specs));
    for (protocol, extra, expected) in [
        (2, &[][..], None),
        (3, &[], None),
        (4, &[], Some("ComfyUI can't load it")),
        (5, &["m/.format_version"], Some("A1111 can't load it")),
    ] {
        let mut entries = good.clone();
        entries[0].1[1] = protocol;
        entries.extend(extra.iter().map(|name| ((*name).to_owned(), b"1".to_vec())));
        let said = said(&archive(&entries, CompressionMethod::Stored));
        assert_eq!(said.is_empty(), expected.is_none(), "{protocol}: {said:?}");
        if let (Some(said), Some(expected)) = (said.first(), expected) {
            assert!(said.starts_with(expected), "{said}");
        }
    }
}
