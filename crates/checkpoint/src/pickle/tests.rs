//! The stack machine alone: instructions, limits, and hostile input.

use proptest::prelude::*;

use super::{Pickle, Value, read};
use crate::rejection::Rejection;

fn top(pickle: &[u8]) -> Value<'_> {
    read(pickle).unwrap().top
}

fn message(pickle: &[u8]) -> String {
    read(pickle).unwrap_err().to_string()
}

#[test]
fn literals() {
    for (pickle, expected) in [
        (&b"\x80\x02N."[..], Value::None),
        (b"\x88.", Value::Int(1)),
        (b"\x89.", Value::Int(0)),
        (b"K\xff.", Value::Int(255)),
        (b"M\x00\x01.", Value::Int(256)),
        (b"J\xfe\xff\xff\xff.", Value::Int(-2)),
        (b"\x8a\x00.", Value::Int(0)),
        (b"\x8a\x01\xff.", Value::Int(-1)),
        (b"\x8a\x02\xff\x00.", Value::Int(255)),
        (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", Value::Opaque),
        (b"X\x02\0\0\0hi.", Value::Text("hi")),
        (b"U\x02hi.", Value::Text("hi")),
        (b"T\x02\0\0\0h\xff.", Value::Opaque),
        (b"\x80\x04\x95\0\0\0\0\0\0\0\0\x8c\x02hi\x94.", Value::Text("hi")),
        (b"\x8d\x02\0\0\0\0\0\0\0hi.", Value::Text("hi")),
        (b"C\x02hi.", Value::Opaque),
        (b"G\0\0\0\0\0\0\0\0.", Value::Float(0.0)),
        (b"\x8f(K\x01\x90.", Value::Opaque),
        (b"(K\x01\x91.", Value::Opaque),
        (b"NK\x010.", Value::None),
        (b"N(KKKK1.", Value::None),
        (b"K\x012K\x022\x86.", Value::Tuple(0, 2)),
    ] {
        assert_eq!(top(pickle), expected, "{pickle:?}");
    }
}

fn items<'a>(pickle: &Pickle<'a>) -> Vec<(Value<'a>, Value<'a>)> {
    pickle.dict(pickle.top).unwrap().to_vec()
}

#[test]
fn containers_are_shared_through_the_memo() {
    // d = {}; d[1] = 2; then once more through the memo.
    let pickle = read(b"}q\x00K\x01K\x02s0h\x00(K\x03K\x04u.").unwrap();
    let expected = [(Value::Int(1), Value::Int(2)), (Value::Int(3), Value::Int(4))];
    assert_eq!(items(&pickle), expected);
    // A list that holds itself.
    let pickle = read(b"]q\x00h\x00a.").unwrap();
    assert_eq!(pickle.sequence(pickle.top), Some(&[pickle.top][..]));
    // Protocol 4's way of naming.
    let pickle = read(b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)\x81.").unwrap();
    assert!(items(&pickle).is_empty());
}

#[test]
fn forbidden_instructions_are_named() {
    for (pickle, name) in [
        (&b"(ios\nsystem\n."[..], "INST"),
        (b"(cos\nsystem\no.", "os.system"),
        (b"(No.", "OBJ"),
        (b"I1\n.", "INT"),
        (b"\x82\x01.", "EXT1"),
        (b"}}}\x92.", "NEWOBJ_EX"),
        (b"P0\n.", "PERSID"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\xff.", "instruction 0xff"),
    ] {
        let text = message(pickle);
        assert!(text.contains(name) && text.contains("not allowed"), "{text}");
    }
    assert!(matches!(read(b"NN\xff"), Err(Rejection::ForbiddenOpcode { at: 2, .. })));
}

#[test]
fn broken_pickles_are_refused() {
    for (pickle, words) in [
        (&b""[..], "ends early"),
        (b"\x80", "ends early"),
        (b"\x80\x07.", "protocol"),
        (b".", "stack is empty"),
        (b"X\xff\xff\xff\xffa", "ends early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "ends early"),
        (b"X\x01\0\0\0\xff.", "UTF-8"),
        (b"cos", "ends early"),
        (b"h\x00.", "no memo entry"),
        (b"t.", "mark is missing"),
        (b"N(0.", "stack is empty"),
        (b"N(\x85.", "stack is empty"),
        (b"}(Nu.", "key without a value"),
        (b"N(NNu.", "not a dict"),
        (b"NNa.", "not a list"),
        (b"N)R.", "not a function"),
        (b"ccollections\nOrderedDict\nNR.", "without arguments"),
        (b"ctorch\nFloatStorage\n)R.", "wrong arguments"),
        (b"ccollections\nOrderedDict\nN\x85R.", "other than pairs"),
        (b"NQ.", "without a storage"),
        (b"NN\x93.", "not a string"),
    ] {
        let text = message(pickle);
        assert!(text.contains(words), "{pickle:?}: {text}");
    }
}

#[test]
fn every_count_is_limited() {
    let many = |start: &[u8], step: &[u8], times: usize| [start, &step.repeat(times)].concat();
    for (pickle, what) in [
        (many(b"", b"N", 1 << 18), "values on its stack"),
        (many(b"", b"(", 1 << 18), "marks"),
        (many(b"", b"]0", 1 << 17), "lists"),
        (many(b"", b"}0", 1 << 17), "dicts"),
        (many(b"]", b"Na", 1 << 20), "items"),
        (many(b"", b"N\x850", 1 << 20), "items"),
        (many(b"Nr\xff\xff\xff\x7f", b"", 0), "memo entries"),
        (many(b"N", b"\x94", 1 << 19), "memo entries"),
        (many(b"U\x07storagectorch\nByteStorage\nU\x010NK\x01(h\x00", b"", 0), "no memo entry"),
        (
            many(b"(U\x07storagectorch\nByteStorage\nU\x010NK\x01tq\x00", b"h\x00Q0", 1 << 17),
            "storages",
        ),
    ] {
        let text = message(&pickle);
        assert!(text.contains(what), "{what}: {text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    /// Instructions that are mostly legal get further.
    #[test]
    fn random_instructions_never_panic(
        steps in prop::collection::vec(prop::sample::select(vec![
            &b"("[..], b"N", b"K\x01", b"U\x01a", b"U\x07storage", b"ccollections\nOrderedDict\n",
            b"ctorch\nHalfStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"R", b"Q", b"b", b")",
            b"t", b"\x85", b"\x86", b"\x87", b"}", b"]", b"s", b"u", b"a", b"e", b"q\x00", b"h\x00",
            b"\x94", b"0", b"1", b"2", b"\x8f", b"\x90", b"\x91", b"\x81", b"\x93", b"\x8a\x09123456789",
        ]), 0..200)
    ) {
        let _ = read(&[&steps.concat()[..], b"."].concat());
    }
}
