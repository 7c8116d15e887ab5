//! No file makes the reader panic.

use proptest::prelude::*;
use zip::CompressionMethod;

use crate::{
    open,
    pickler::{archive, entries, legacy_of, state_dict, torch_of},
    specs::{safetensors, sd1, with_header},
};

/// A valid file with a few bytes changed and perhaps its end missing.
fn damaged(file: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = file.len();
    let changes = prop::collection::vec((0..len, any::<u8>()), 0..6);
    (changes, prop_oneof![3 => Just(len), 1 => 0..len]).prop_map(move |(changes, end)| {
        let mut file = file.clone();
        changes.into_iter().for_each(|(at, byte)| file[at] = byte);
        file.truncate(end);
        file
    })
}

/// Reads everything; the result does not matter.
fn read(bytes: &[u8]) {
    if let Ok(checkpoint) = open(bytes) {
        let _ = checkpoint.ids();
    }
}

/// A torch file's records and pickle without weights: small enough for random changes to hit them.
fn small_torch() -> Vec<u8> {
    torch_of(&sd1()[6..])
}

fn small_deflated() -> Vec<u8> {
    let specs = &sd1()[6..];
    let storages: Vec<_> = specs.iter().map(|spec| spec.data.as_slice()).collect();
    archive(&entries(&state_dict(specs), &storages), CompressionMethod::Deflated)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read(&bytes);
        read(&[b"PK\x03\x04", &bytes[..]].concat());
    }

    #[test]
    fn random_headers(header in r#"\{("[a-z]{1,3}":(\{|\}|[0-9]{1,20}|\[[0-9]{1,20},[0-9]{1,20}\]|"F16"),?){0,9}\}"#, data in 0usize..64) {
        read(&with_header(&header, &vec![0; data]));
    }

    #[test]
    fn random_tensors(
        tensors in prop::collection::vec((any::<u64>(), any::<u64>(), prop::collection::vec(any::<u64>(), 0..4)), 1..4),
    ) {
        let entries: Vec<_> = tensors.iter().enumerate().map(|(i, (begin, end, shape))| {
            format!(r#""{i}":{{"dtype":"U8","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#)
        }).collect();
        read(&with_header(&format!("{{{}}}", entries.join(",")), b"data"));
    }

    #[test]
    fn damaged_safetensors(bytes in damaged(safetensors(&sd1()))) {
        read(&bytes);
    }

    #[test]
    fn damaged_torch(bytes in damaged(small_torch())) {
        read(&bytes);
    }

    #[test]
    fn damaged_legacy(bytes in damaged(legacy_of(&sd1()[6..]))) {
        read(&bytes);
    }

    #[test]
    fn damaged_deflated(bytes in damaged(small_deflated())) {
        read(&bytes);
    }
}
