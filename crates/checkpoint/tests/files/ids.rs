//! What ids depend on, and what they do not depend on.

use std::{fs::OpenOptions, io::Write, time::SystemTime};

use checkpoint::{Checkpoint, Ids, Rejection};

use crate::{
    open,
    pickler::torch_of,
    scratch,
    specs::{PREFIX, Spec, safetensors, sd1, spec, with_header},
};

fn ids(bytes: &[u8]) -> Ids {
    let file = scratch(bytes);
    Checkpoint::open(&file.path).unwrap().ids().unwrap()
}

/// A second implementation of the documented encoding.
fn expected(specs: &[Spec]) -> String {
    let mut specs: Vec<_> = specs.iter().collect();
    specs.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
    let mut all = Vec::new();
    for spec in specs {
        all.extend((spec.name.len() as u64).to_le_bytes());
        all.extend(spec.name.bytes());
        all.extend((spec.dtype.len() as u64).to_le_bytes());
        all.extend(spec.dtype.bytes());
        all.extend((spec.shape.len() as u64).to_le_bytes());
        spec.shape.iter().for_each(|dimension| all.extend(dimension.to_le_bytes()));
        all.extend(blake3::hash(&spec.data).as_bytes());
    }
    blake3::hash(&all).to_hex().to_string()
}

#[test]
fn ids_are_as_documented() {
    let mut specs = sd1();
    // Longer than the read buffer, and not a multiple of it.
    specs.push(spec("big", "U8", &[(1 << 20) + 12_345]));
    let found = ids(&safetensors(&specs));
    assert_eq!(found.weights.to_string(), expected(&specs));
    specs.retain(|spec| spec.name.starts_with(PREFIX));
    assert_eq!(found.unet.to_string(), expected(&specs));
}

/// Ids are stored on disk: change this one only together with a migration.
#[test]
fn ids_never_change() {
    let found = ids(&safetensors(&sd1()));
    assert_eq!(
        found.weights.to_string(),
        "170e8f5cfddbe9fe06651c3b9b3ccdb1ca0c70484579cb60b391641429f05251"
    );
    assert_eq!(
        found.unet.to_string(),
        "fe276058647c85fa2b5ee6d7c0228da45450db93d4e867a133dff88e9837d5f4"
    );
}

#[test]
fn ids_ignore_order_padding_metadata_and_format() {
    let specs = sd1();
    let plain = ids(&safetensors(&specs));
    let turned: Vec<_> = specs.iter().rev().cloned().collect();
    // serde_json sorts a header's entries, so the data's order differs from the header's as well.
    assert_eq!(ids(&safetensors(&turned)), plain);

    let bytes = safetensors(&specs);
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, data) = bytes[8..].split_at(len);
    let header = std::str::from_utf8(header).unwrap();
    let metadata = header.replacen('{', r#"{"__metadata__":{"title":"x"},"#, 1);
    assert_eq!(ids(&with_header(&metadata, data)), plain);
    assert_eq!(ids(&with_header(&format!("{header}     "), data)), plain);
    assert_eq!(ids(&torch_of(&specs)), plain);
}

#[test]
fn content_counts() {
    let plain = ids(&safetensors(&sd1()));
    let changed = |change: fn(&mut Spec), name: &str| {
        let mut specs = sd1();
        specs.iter_mut().filter(|spec| spec.name.ends_with(name)).for_each(change);
        ids(&safetensors(&specs))
    };
    let vae = changed(|spec| spec.data[7] ^= 1, "decoder.conv_in.weight");
    assert_eq!(vae.unet, plain.unet);
    assert_ne!(vae.weights, plain.weights);
    for change in [
        |spec: &mut Spec| spec.data[7] ^= 1,
        |spec: &mut Spec| spec.dtype = "BF16",
        |spec: &mut Spec| spec.shape = vec![2, 4],
        |spec: &mut Spec| spec.name.push('x'),
    ] {
        let found = changed(change, "input_blocks.0.0.bias");
        assert_ne!(found.unet, plain.unet);
        assert_ne!(found.weights, plain.weights);
    }
}

#[test]
fn a_file_that_changes_is_noticed() {
    let changes: [fn(&std::fs::File); 3] = [
        |file| file.set_len(5000).unwrap(),
        |mut file| file.write_all(b"x").unwrap(),
        |file| file.set_modified(SystemTime::UNIX_EPOCH).unwrap(),
    ];
    for change in changes {
        let file = scratch(&safetensors(&sd1()));
        let checkpoint = Checkpoint::open(&file.path).unwrap();
        change(&OpenOptions::new().append(true).open(&file.path).unwrap());
        assert!(matches!(checkpoint.ids().unwrap_err(), Rejection::ChangedWhileRead));
    }
}

#[test]
fn a_renamed_file_is_still_read() {
    let file = scratch(&safetensors(&sd1()));
    let checkpoint = Checkpoint::open(&file.path).unwrap();
    std::fs::rename(&file.path, file.path.with_extension("moved")).unwrap();
    assert_eq!(checkpoint.ids().unwrap(), ids(&safetensors(&sd1())));
    assert!(checkpoint.file().metadata().is_ok());
    assert!(open(&safetensors(&sd1())).is_ok());
}
