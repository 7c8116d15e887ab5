//! Tensors that do not lie in the file as they are: strided, deflated and lazily negated ones.

use checkpoint::{Checkpoint, Ids};
use goldens::pickle::{Node, arguments, call, storage, strides, tensor, text};
use zip::CompressionMethod;

use crate::{
    pickler::{archive, entries, legacy, torch, torch_of},
    refused, scratch,
    specs::{Spec, sd1, size, spec, unet},
};

fn checkpoint<T>(bytes: &[u8], read: impl Fn(&Checkpoint) -> T) -> T {
    let file = scratch(bytes);
    read(&Checkpoint::open(&file.path).unwrap())
}

fn ids(bytes: &[u8]) -> Ids {
    checkpoint(bytes, |checkpoint| checkpoint.ids().unwrap())
}

/// A tensor's elements in the order in which they are stored, with the strides that this order has.
type Stored = fn(&Spec) -> (Vec<u8>, u64, Vec<u64>);

fn elements(spec: &Spec) -> Vec<&[u8]> {
    spec.data.chunks(size(spec.dtype) as usize).collect()
}

/// The strides if the dimensions are stored in this order, outermost first.
fn ordered(shape: &[u64], order: &[usize]) -> Vec<u64> {
    let stored: Vec<u64> = order.iter().map(|dimension| shape[*dimension]).collect();
    let mut found = vec![0; shape.len()];
    for (dimension, stride) in order.iter().zip(strides(&stored)) {
        found[*dimension] = stride;
    }
    found
}

/// Puts each element where the strides say.
fn scattered(spec: &Spec, offset: u64, strides: &[u64]) -> Vec<u8> {
    let size = size(spec.dtype) as usize;
    let mut bytes = Vec::new();
    for (number, element) in elements(spec).iter().enumerate() {
        let (mut rest, mut at) = (number as u64, offset);
        for (dimension, stride) in spec.shape.iter().zip(strides).rev() {
            at += rest % dimension * stride;
            rest /= dimension;
        }
        let at = at as usize * size;
        if bytes.len() < at + size {
            bytes.resize(at + size, 0x55);
        }
        bytes[at..at + size].copy_from_slice(element);
    }
    bytes
}

fn as_it_is(spec: &Spec) -> (Vec<u8>, u64, Vec<u64>) {
    (spec.data.clone(), 0, strides(&spec.shape))
}

fn channels_last(spec: &Spec) -> (Vec<u8>, u64, Vec<u64>) {
    if spec.shape.len() != 4 {
        return as_it_is(spec);
    }
    let strides = ordered(&spec.shape, &[0, 2, 3, 1]);
    (scattered(spec, 0, &strides), 0, strides)
}

fn transposed(spec: &Spec) -> (Vec<u8>, u64, Vec<u64>) {
    let order: Vec<usize> = (0..spec.shape.len()).rev().collect();
    let strides = ordered(&spec.shape, &order);
    (scattered(spec, 0, &strides), 0, strides)
}

/// A part of a larger one.
fn narrowed(spec: &Spec) -> (Vec<u8>, u64, Vec<u64>) {
    if spec.shape.is_empty() {
        return (scattered(spec, 3, &[]), 3, vec![]);
    }
    if spec.data.is_empty() {
        return as_it_is(spec);
    }
    let larger: Vec<u64> = spec.shape.iter().map(|size| size + 2).collect();
    let strides = strides(&larger);
    let offset = strides.iter().sum();
    (scattered(spec, offset, &strides), offset, strides)
}

/// Every second of twice as many.
fn stepped(spec: &Spec) -> (Vec<u8>, u64, Vec<u64>) {
    let strides: Vec<u64> = strides(&spec.shape).iter().map(|stride| stride * 2).collect();
    (scattered(spec, 1, &strides), 1, strides)
}

fn specs() -> Vec<Spec> {
    let mut specs = sd1();
    // More than is gathered at once, and rows that are longer than that.
    specs.push(spec("large", "F32", &[1100, 1000]));
    specs.push(spec("long", "F16", &[2, 1_100_000]));
    specs
}

fn built(specs: &[Spec], stored: Stored) -> (Node, Vec<(Vec<u8>, u64)>) {
    let (mut items, mut storages) = (Vec::new(), Vec::new());
    for (number, spec) in specs.iter().enumerate() {
        let (bytes, offset, strides) = stored(spec);
        let size = size(spec.dtype);
        let storage = storage(spec.dtype, &number.to_string(), bytes.len() as u64 / size);
        items.push((text(&spec.name), tensor(storage, offset, &spec.shape, &strides)));
        storages.push((bytes, size));
    }
    (Node::Dict(items), storages)
}

#[test]
fn strided_tensors_are_read_in_their_logical_order_whatever_holds_them() {
    let specs = specs();
    let expected = ids(&torch_of(&specs));
    let ways: [(&str, Stored); 5] = [
        ("as they are", as_it_is),
        ("channels last", channels_last),
        ("transposed", transposed),
        ("narrowed", narrowed),
        ("stepped", stepped),
    ];
    for (way, stored) in ways {
        let (top, storages) = built(&specs, stored);
        let data: Vec<&[u8]> = storages.iter().map(|(bytes, _)| bytes.as_slice()).collect();
        let sized: Vec<(&[u8], u64)> =
            storages.iter().map(|(bytes, size)| (bytes.as_slice(), *size)).collect();
        let entries = entries(&top, &data);
        let containers = [
            ("zip", archive(&entries, CompressionMethod::Stored)),
            ("deflated", archive(&entries, CompressionMethod::Deflated)),
            ("legacy", legacy(&top, &sized)),
        ];
        for (container, file) in containers {
            assert_eq!(ids(&file), expected, "{way}, {container}");
            checkpoint(&file, |checkpoint| {
                for spec in &specs {
                    let found = checkpoint.tensors.iter().find(|found| found.name == spec.name);
                    let read = checkpoint.read(found.unwrap()).unwrap();
                    assert!(read == spec.data, "{} {way}, {container}", spec.name);
                }
            });
        }
    }
}

/// All weights in one storage, as some trainers have them, and in any order.
#[test]
fn one_storage_of_all_weights_is_read_by_its_parts() {
    let specs: Vec<Spec> = unet(4, 768, None);
    let expected = ids(&torch_of(&specs));
    let all: Vec<u8> = specs.iter().rev().flat_map(|spec| spec.data.clone()).collect();
    let mut at = all.len() as u64;
    let mut items = Vec::new();
    for spec in &specs {
        at -= spec.data.len() as u64;
        let storage = storage("F16", "0", all.len() as u64 / 2);
        items.push((text(&spec.name), tensor(storage, at / 2, &spec.shape, &strides(&spec.shape))));
    }
    let entries = entries(&Node::Dict(items), &[&all]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        assert_eq!(ids(&archive(&entries, method)), expected, "{method}");
    }
}

/// The state dict with one more tensor, made of these values with these bits.
fn with_bits(dtype: &'static str, data: &[u8], bits: &[&str]) -> Vec<u8> {
    let specs = unet(4, 768, None);
    let count = data.len() as u64 / size(dtype);
    let storage = storage(dtype, &specs.len().to_string(), count);
    let mut arguments = arguments(storage, 0, &[count], &[1]);
    arguments.push(Node::Dict(bits.iter().map(|bit| (text(bit), Node::Bool(true))).collect()));
    let (top, storages) = built(&specs, as_it_is);
    let Node::Dict(mut items) = top else { unreachable!() };
    items.push((text("extra"), call("torch._utils", "_rebuild_tensor_v2", arguments)));
    let data: Vec<&[u8]> =
        storages.iter().map(|(bytes, _)| bytes.as_slice()).chain([data]).collect();
    torch(&Node::Dict(items), &data)
}

#[test]
fn lazily_negated_and_conjugated_tensors_are_those_that_they_stand_for() {
    let bytes = |values: &[f64], dtype: &str| -> Vec<u8> {
        let each = values.iter().flat_map(|value| match dtype {
            "F32" | "C64" => (*value as f32).to_le_bytes().to_vec(),
            "F16" => ((*value as i16) << 8).to_le_bytes().to_vec(),
            // Whose upper half it is.
            "BF16" => (*value as f32).to_le_bytes()[2..].to_vec(),
            _ => value.to_le_bytes().to_vec(),
        });
        each.collect()
    };
    let negated = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<_>>();
    let values = [1.5, -2.0, 0.25, 4096.0];
    for dtype in ["F64", "F32", "BF16", "C64", "C128"] {
        let stored = bytes(&values, dtype);
        let truly = with_bits(dtype, &bytes(&negated(&values), dtype), &[]);
        assert_eq!(ids(&with_bits(dtype, &stored, &["neg"])), ids(&truly), "{dtype}");
        assert_ne!(ids(&with_bits(dtype, &stored, &[])), ids(&truly), "{dtype}");
    }
    let halves = |sign: u16| [0x3c00u16 | sign, 0x4200 | sign].map(u16::to_le_bytes).concat();
    let lazy = with_bits("F16", &halves(0), &["neg"]);
    assert_eq!(ids(&lazy), ids(&with_bits("F16", &halves(0x8000), &[])));
    for (bits, signs) in [(&["conj"][..], [1.0, -1.0]), (&["conj", "neg"], [-1.0, 1.0])] {
        for dtype in ["C64", "C128"] {
            let truly: Vec<f64> =
                values.iter().zip(signs.iter().cycle()).map(|(value, sign)| value * sign).collect();
            let lazy = with_bits(dtype, &bytes(&values, dtype), bits);
            let truly = with_bits(dtype, &bytes(&truly, dtype), &[]);
            assert_eq!(ids(&lazy), ids(&truly), "{dtype} {bits:?}");
        }
    }
    // Conjugating what is real changes nothing; whole numbers can't be negated lazily.
    let real = bytes(&values, "F32");
    assert_eq!(ids(&with_bits("F32", &real, &["conj"])), ids(&with_bits("F32", &real, &[])));
    refused(&with_bits("I32", &[0; 8], &["neg"]), "to be negated");
}

#[test]
fn a_deflated_entry_that_is_not_what_it_says_is_refused() {
    let specs = unet(4, 768, None);
    let data: Vec<&[u8]> = specs.iter().map(|spec| spec.data.as_slice()).collect();
    let (top, _) = built(&specs, as_it_is);
    let good = archive(&entries(&top, &data), CompressionMethod::Deflated);
    let at = good.windows(8).position(|bytes| bytes == b"m/data/4").unwrap();
    let mut bad = good.clone();
    // A block of no known kind.
    let extra = usize::from(u16::from_le_bytes(good[at - 2..at].try_into().unwrap()));
    bad[at + 8 + extra] = 0xff;
    let file = scratch(&bad);
    let error = Checkpoint::open(&file.path).unwrap().ids().unwrap_err().to_string();
    assert!(error.contains("can't be inflated"), "{error}");

    // It says that it grows by more than deflate can make of anything.
    let name = good.windows(8).rposition(|bytes| bytes == b"m/data/4").unwrap();
    let mut bomb = good;
    bomb[name - 22..name - 18].copy_from_slice(&[0, 0, 0, 0x70]);
    refused(&bomb, "larger than it can be");
}
