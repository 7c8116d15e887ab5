//! Invalid files are rejected with a clear reason, and affect nothing else.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use checkpoint::Dtype;
use end_to_end::Workplace;
use protocol::State;

/// A safetensors file with these tensors of one element each.
fn safetensors(names: &[&str]) -> Vec<u8> {
    let size = Dtype::F16.size();
    let entries: Vec<String> = (0..)
        .zip(names)
        .map(|(index, name)| {
            let (from, to) = (index * size, (index + 1) * size);
            format!(r#""{name}":{{"dtype":"F16","shape":[1],"data_offsets":[{from},{to}]}}"#)
        })
        .collect();
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + names.len() * size as usize, 0);
    file
}

#[test]
fn every_kind_of_invalid_file_is_rejected_with_its_reason_and_affects_nothing_else() {
    let w = Workplace::new();
    let good = w.write_checkpoint("good.safetensors", 1);
    let whole = fs::read(&good).unwrap();
    let mut long_header = whole.clone();
    long_header[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec();
    let vae =
        ["first_stage_model.encoder.conv_in.weight", "first_stage_model.decoder.conv_in.weight"];
    let overlapping = br#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},"b":{"dtype":"F16","shape":[1],"data_offsets":[1,3]}}"#;
    let mut overlap = (overlapping.len() as u64).to_le_bytes().to_vec();
    overlap.extend(overlapping);
    overlap.extend([0; 3]);
    let bad: [(&str, Vec<u8>, &str); 9] = [
        ("truncated", whole[..whole.len() / 2].to_vec(), "again"),
        ("long-header", long_header, "header"),
        ("overlap", overlap, "header"),
        ("lfs", lfs, "git lfs pull"),
        ("lora", safetensors(&["lora_unet_down_blocks_0.lora_up.weight"]), "LoRA"),
        ("vae", safetensors(&vae), "VAE"),
        ("embedding", safetensors(&["emb_params"]), "embedding"),
        ("unknown", safetensors(&["something.else"]), ""),
        ("text", b"hello".to_vec(), ""),
    ];
    for (name, content, _) in &bad {
        fs::write(w.model(format!("{name}.safetensors")), content).unwrap();
    }
    // A place that a browser keeps for a download is no file of anybody's.
    fs::write(w.model("empty.safetensors"), "").unwrap();
    let _daemon = w.daemon();
    let list = w.settled_list();

    let at = |name: &str| {
        let path = Workplace::shown(&w.model(format!("{name}.safetensors")));
        list.iter().find(|entry| entry.locations == [path.as_str()]).unwrap()
    };
    for (name, _, reason) in &bad {
        let entry = at(name);
        assert_eq!(entry.state, State::Rejected, "{name}");
        let said = entry.reason.as_deref().unwrap_or_default();
        assert!(!said.is_empty() && said.contains(reason), "{name}: {said}");
    }
    assert!(at("good").weights_id.is_some());
    assert_eq!(list.len(), bad.len() + 1);
}

#[test]
fn a_rejected_file_is_read_again_when_it_changes() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..1000]).unwrap();
    let _daemon = w.daemon();
    assert_eq!(w.only().state, State::Rejected);
    fs::write(&path, whole).unwrap();
    assert!(w.only().weights_id.is_some());
}

#[test]
fn names_need_not_be_utf8() {
    let w = Workplace::new();
    let plain = w.write_checkpoint("a.safetensors", 1);
    let odd = w.model(OsStr::from_bytes(b"caf\xe9.safetensors"));
    fs::rename(plain, &odd).unwrap();
    let _daemon = w.daemon();
    let entry = w.only();
    assert!(entry.weights_id.is_some());
    assert_eq!(entry.locations, [Workplace::shown(&odd)]);
}

#[test]
fn dangling_and_circular_links_are_ignored() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    symlink("nowhere", w.model("dangling.safetensors")).unwrap();
    symlink(w.models(), w.model("around")).unwrap();
    let _daemon = w.daemon();
    assert!(w.only().weights_id.is_some());
}
