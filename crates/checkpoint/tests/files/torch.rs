//! torch's zip format, and malicious or unusual files in it.

use checkpoint::{Kind, Rejection};
use goldens::pickle::{Node, call, numbers, storage, tensor, text};
use zip::CompressionMethod;

use crate::{
    open,
    pickler::{archive, entries, state_dict, torch, torch_of},
    refused,
    specs::{Spec, sd1, spec, unet},
};

type Entry = (String, Vec<u8>);

fn data(specs: &[Spec]) -> Vec<&[u8]> {
    specs.iter().map(|spec| spec.data.as_slice()).collect()
}

#[test]
fn a_training_checkpoint_opens() {
    let specs = sd1();
    let callback = Node::Global("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint");
    let scalar = call(
        "numpy.core.multiarray",
        "scalar",
        vec![
            call("numpy", "dtype", vec![text("f8")]),
            call("_codecs", "encode", vec![text("x"), text("latin1")]),
        ],
    );
    let top = Node::Dict(vec![
        (text("epoch"), Node::Int(-3)),
        (text("callbacks"), Node::Dict(vec![(callback, Node::Dict(vec![(text("best"), scalar)]))])),
        (text("optimizer_states"), Node::List(vec![Node::None, Node::Tuple(vec![])])),
        (text("state_dict"), state_dict(&specs)),
    ]);
    let bytes = torch(&top, &data(&specs));
    let checkpoint = open(&bytes).unwrap();
    assert_eq!(checkpoint.architecture.kind, Kind::Sd1);
    for spec in &specs {
        let tensor = checkpoint.tensors.iter().find(|tensor| tensor.name == spec.name).unwrap();
        assert_eq!((tensor.dtype.name(), &tensor.shape), (spec.dtype, &spec.shape));
        assert_eq!(&bytes[tensor.offset as usize..][..tensor.bytes as usize], spec.data);
    }
    assert_eq!(
        checkpoint.ids().unwrap(),
        open(&torch_of(&specs)).unwrap().ids().unwrap(),
        "everything besides the state dict is ignored"
    );
}

/// A UNet with one more tensor of this form, over a storage of 16 fp16 values.
fn with(extra: Node) -> Vec<u8> {
    let specs = unet(4, 768, None);
    let Node::Built(dict, mut items, state) = state_dict(&specs) else { unreachable!() };
    items.push((text("extra"), extra));
    let mut storages = data(&specs);
    let sixteen = spec("sixteen", "F16", &[16]).data;
    storages.push(&sixteen);
    torch(&Node::Built(dict, items, state), &storages)
}

fn halves(count: u64) -> Node {
    storage("F16", &unet(4, 768, None).len().to_string(), count)
}

#[test]
fn views_within_their_storage_are_read() {
    let expected = spec("sixteen", "F16", &[16]).data;
    let parameter = call(
        "torch._utils",
        "_rebuild_parameter",
        vec![tensor(halves(16), 2, &[2, 1, 3], &[3, 77, 1]), Node::Bool(true), Node::None],
    );
    for (view, bytes) in [
        (tensor(halves(16), 0, &[16], &[1]), &expected[..]),
        (tensor(halves(16), 15, &[], &[]), &expected[30..]),
        (tensor(halves(16), 16, &[0, 5], &[9, 9]), &[]),
        (parameter, &expected[4..16]),
    ] {
        let file = with(view);
        let checkpoint = open(&file).unwrap();
        let found = checkpoint.tensors.iter().find(|tensor| tensor.name == "extra").unwrap();
        assert_eq!(&file[found.offset as usize..][..found.bytes as usize], bytes);
    }
}

#[test]
fn views_beyond_their_storage_are_refused_by_name() {
    let big = i64::MAX as u64;
    for (view, words) in [
        (tensor(halves(16), 1, &[16], &[1]), "reaches beyond its storage"),
        (tensor(halves(8), 0, &[16], &[1]), "reaches beyond"),
        (tensor(halves(99), 0, &[99], &[1]), "reaches beyond"),
        (tensor(halves(16), big, &[1], &[1]), "reaches beyond"),
        (tensor(storage("F64", "0", big), big, &[1], &[1]), "larger than any memory"),
        (tensor(halves(16), 0, &[4], &[]), "no proper shape"),
        (tensor(halves(16), 0, &[big, big], &[big, 1]), "larger than any memory"),
        (tensor(storage("F16", "none", 16), 0, &[16], &[1]), "no data in the archive"),
        (tensor(storage("F16", "../data.pkl", 16), 0, &[16], &[1]), "no data in the archive"),
        (tensor(halves(16), 0, &[1; 17], &[1; 17]), "no proper shape"),
        (tensor(halves(16), 0, &[4, 4], &[5, 1]), "reaches beyond"),
        (tensor(halves(16), 0, &[2, 2], &[big, big]), "reaches beyond"),
    ] {
        assert!(matches!(refused(&with(view), words), Rejection::BadTensor { .. }));
    }
    let typed = |dtype| {
        let arguments = vec![
            halves(16),
            Node::Int(0),
            numbers(&[16]),
            numbers(&[1]),
            Node::Bool(false),
            Node::None,
            dtype,
            Node::None,
        ];
        call("torch._utils", "_rebuild_tensor_v3", arguments)
    };
    open(&with(typed(Node::Global("torch", "float8_e4m3fn")))).unwrap();
    refused(&with(typed(Node::Global("torch", "float32"))), "reaches beyond");
    refused(&with(typed(text("float32"))), "damaged pickle");
}

#[test]
fn tied_and_overlapping_tensors_are_read_unless_that_takes_hours() {
    let specs = unet(4, 768, None);
    let Node::Built(dict, mut items, state) = state_dict(&specs) else { unreachable!() };
    items.push((text("tied"), items[0].1.clone()));
    // A weight for queries, keys and values, and the three of them.
    let (rows, width) = (8, 768);
    for (name, row) in [("q", 0), ("k", 2), ("v", 5)] {
        let view = tensor(storage("F16", "4", rows * width), row * width, &[3, width], &[width, 1]);
        items.push((text(name), view));
    }
    let top = Node::Built(dict.clone(), items.clone(), state.clone());
    let file = torch(&top, &data(&specs));
    let checkpoint = open(&file).unwrap();
    assert_eq!(checkpoint.tensors.len(), specs.len() + 4);
    checkpoint.ids().unwrap();
    let v = checkpoint.tensors.iter().find(|tensor| tensor.name == "v").unwrap();
    let bytes = &file[v.offset as usize..][..v.bytes as usize];
    assert!(bytes == &specs[4].data[5 * 768 * 2..], "the last three rows");

    for (shape, strides) in [(&[1 << 34, 768][..], &[0, 1][..]), (&[1 << 40], &[0])] {
        let mut items = items.clone();
        items.push((text("repeated"), tensor(storage("F16", "4", 8 * 768), 0, shape, strides)));
        let top = Node::Built(dict.clone(), items, state.clone());
        let rejection = refused(&torch(&top, &data(&specs)), "share their data");
        assert!(matches!(rejection, Rejection::TooMuchData));
    }
}

#[test]
fn files_without_a_state_dict() {
    let empty = call("collections", "OrderedDict", vec![]);
    for top in [empty, Node::None, Node::Dict(vec![(text("state_dict"), Node::Dict(vec![]))])] {
        assert!(matches!(refused(&torch(&top, &[]), "no tensors"), Rejection::NoTensors));
    }
    let embedding = Node::Dict(vec![(text("string_to_param"), Node::Dict(vec![]))]);
    assert!(matches!(refused(&torch(&embedding, &[]), "embedding"), Rejection::Other(_)));
    let view = tensor(storage("F16", "0", 1), 0, &[1], &[1]);
    let unnamed = Node::Dict(vec![(Node::Int(0), view.clone())]);
    refused(&torch(&unnamed, &[&[0; 2]]), "cannot be told apart");
    let twice = Node::Dict(vec![(text("a"), view.clone()), (text("a"), view.clone())]);
    assert!(matches!(
        refused(&torch(&twice, &[&[0; 2]]), "called a"),
        Rejection::DuplicateName { .. }
    ));
    // As Python 2 pickles it.
    let pairs = Node::List(vec![Node::Tuple(vec![text("clip_l"), view])]);
    let old = call("collections", "OrderedDict", vec![pairs]);
    assert!(matches!(refused(&torch(&old, &[&[0; 2]]), "embedding"), Rejection::Other(_)));
}

#[test]
fn code_is_refused_by_name() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("__builtin__", "getattr"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "load"),
        ("torch", "Storage"),
        ("torch._utils", "_rebuild_device_tensor_from_numpy"),
        ("collections", "OrderedDict.fromkeys"),
    ] {
        let top = call(module, name, vec![text("true")]);
        let rejection = refused(&torch(&top, &[]), &format!("{module}.{name}"));
        assert!(matches!(rejection, Rejection::ForbiddenGlobal { .. }));
    }
}

#[test]
fn archives_that_torch_does_not_write_are_refused() {
    let specs = sd1();
    let good = entries(&state_dict(&specs), &data(&specs));
    let stored = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = good.clone();
        change(&mut entries);
        archive(&entries, CompressionMethod::Stored)
    };
    open(&stored(&|_| {})).unwrap();
    open(&stored(&|entries| entries.retain(|(name, _)| !name.ends_with("byteorder")))).unwrap();
    open(&stored(&|entries| {
        entries.iter_mut().for_each(|(name, _)| *name = name.replacen("m/", "", 1));
    }))
    .unwrap();

    let big_endian = stored(&|entries| entries[1].1 = b"big".to_vec());
    assert!(matches!(refused(&big_endian, "big-endian"), Rejection::BigEndian));
    let without = stored(&|entries| entries[0].0 = "m/code.pkl".into());
    assert!(matches!(refused(&without, "neither"), Rejection::NotACheckpoint));
    let nested = stored(&|entries| entries[0].0 = "m/n/data.pkl".into());
    assert!(matches!(refused(&nested, "neither"), Rejection::NotACheckpoint));
    let two = stored(&|entries| entries.push(("n/data.pkl".into(), vec![])));
    assert!(matches!(refused(&two, "two data.pkl"), Rejection::BadZip { .. }));
    let huge = stored(&|entries| entries[0].1.resize((8 << 20) + 1, 0));
    assert!(matches!(refused(&huge, "8388608 bytes"), Rejection::PickleTooLarge { .. }));
}

#[test]
fn damaged_archives_are_refused() {
    let good = torch_of(&sd1());
    let len = good.len();
    let cut = refused(&good[..len - 1], "cut short");
    assert!(matches!(cut, Rejection::TruncatedZip { actual } if actual == len as u64 - 1));
    refused(&good[..len / 2], "cut short");
    refused(&good[..4], "cut short");
    refused(&[&good[..], b"x"].concat(), "cut short");
    // Bytes before the archive shift everything, so the end record is wrong.
    let shifted = [b"PK--", &good[..]].concat();
    assert!(matches!(refused(&shifted, "not where"), Rejection::BadZip { .. }));

    let end = len - 22;
    let directory = u32::from_le_bytes(good[end + 16..end + 20].try_into().unwrap()) as usize;
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    for (at, bytes, words) in [
        (end + 12, &[0xff; 4][..], "too large"),
        (end + 16, &[0; 4], "not where"),
        (directory, b"XX", "directory is damaged"),
        (directory + 28, &[0xff, 0xff], "cut short"),
        // An entry that claims 4 GB, as in a zip bomb.
        (directory + 20, &[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f], "outside the file"),
        (directory + 42, &[0xff, 0xff, 0xff, 0x7f], "outside the file"),
        (directory + 42, &[1, 0, 0, 0], "header is missing"),
        (directory + 46, &[0xff], "not UTF-8"),
        (directory + 20, &[1, 0, 0, 0], "compressed"),
        (directory + 8, &[1], "encrypted"),
    ] {
        refused(&patched(at, bytes), words);
    }
}

/// torch always writes zip64 records; entries above 4 GB need them.
#[test]
fn zip64_archives_open() {
    let specs = sd1();
    let good = torch_of(&specs);
    let end = good.len() - 22;
    let field = |at: usize, len: usize| {
        good[end + at..end + at + len]
            .iter()
            .rev()
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    let (count, size, start) = (field(10, 2), field(12, 4), field(16, 4));
    let mut file = good[..end].to_vec();
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([45, 0, 45, 0]);
    file.extend([0; 8]);
    [count, count, size, start].iter().for_each(|number| file.extend(number.to_le_bytes()));
    let locator = file.len();
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend((end as u64).to_le_bytes());
    file.extend([1, 0, 0, 0]);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([0xff; 12]);
    file.extend([0, 0]);
    let plain = open(&good).unwrap().ids().unwrap();
    assert_eq!(open(&file).unwrap().ids().unwrap(), plain);

    let mut bad = file.clone();
    bad[locator + 8..locator + 16].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&bad, "zip64 record is outside");
    bad[locator + 8..locator + 16].copy_from_slice(&7u64.to_le_bytes());
    refused(&bad, "zip64 record is missing");
    let mut bad = file;
    bad[end + 40..end + 48].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&bad, "too large");
}
