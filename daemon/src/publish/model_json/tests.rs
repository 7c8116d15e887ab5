use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn id(name: &str) -> Id {
    Id::from(blake3::hash(name.as_bytes()))
}

fn checkpoint(content: &str, path: &str) -> Named {
    Named::new(id(content), Path::new(path), &["/m".into()]).unwrap()
}

fn entry(file: &str, lora: bool) -> Value {
    json!({
        "filepath": format!("{file}.trt"),
        "config": {
            "profile": {"sample": [[1, 4, 64, 64], [2, 4, 64, 64], [8, 4, 96, 96]]},
            "static_shapes": false,
            "fp32": false,
            "inpaint": false,
            "refit": true,
            "lora": lora,
            "vram": 0,
            "unet_hidden_dim": 4
        }
    })
}

/// An index with these names, and the engine files of each.
fn index(models: &[(&str, &[&str])]) -> ModelJson {
    let models: BTreeMap<_, _> = models
        .iter()
        .map(|(name, files)| {
            let entries: Vec<_> = files.iter().map(|file| entry(file, false)).collect();
            (*name, entries)
        })
        .collect();
    parse(json!({ "cc89": models }).to_string().as_bytes()).unwrap()
}

#[test]
fn engines_follow_their_checkpoints() {
    // The listed names, the checkpoints before and after, the missing file, and the expected names.
    type Row<'a> = (
        &'a str,
        &'a [(&'a str, &'a [&'a str])],
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, &'a str)],
        &'a str,
        &'a [(&'a str, &'a [&'a str])],
    );
    let table: [Row<'_>; 9] = [
        (
            "renamed",
            &[("a", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/b.ckpt")],
            "",
            &[("b", &["e"])],
        ),
        (
            "moved into a folder: both names",
            &[("a", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/sub/a.ckpt")],
            "",
            &[("a", &["e"]), ("sub_a", &["e"])],
        ),
        (
            "two places of one checkpoint",
            &[("a", &["e", "f"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/a.ckpt"), ("A", "/m/copy.safetensors")],
            "",
            &[("a", &["e", "f"]), ("copy", &["e", "f"])],
        ),
        (
            "deleted, and so left where it is",
            &[("a", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[],
            "",
            &[("a", &["e"])],
        ),
        (
            "another checkpoint took the name",
            &[("a", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/old.ckpt"), ("B", "/m/a.ckpt")],
            "",
            &[("old", &["e"])],
        ),
        (
            "two contents, one base name: not under that",
            &[("a", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/one/a.ckpt"), ("B", "/m/two/a.ckpt")],
            "",
            &[("one_a", &["e"])],
        ),
        (
            "an engine's file is gone, and with it the last of the name",
            &[("a", &["e"]), ("b", &["f"])],
            &[("A", "/m/a.ckpt"), ("B", "/m/b.ckpt")],
            &[("A", "/m/a.ckpt"), ("B", "/m/b.ckpt")],
            "f.trt",
            &[("a", &["e"])],
        ),
        (
            "ambiguous at first sight: nobody's",
            &[("a", &["e"])],
            &[("A", "/m/one/a.ckpt"), ("B", "/m/two/a.ckpt")],
            &[("A", "/m/one/x.ckpt"), ("B", "/m/two/a.ckpt")],
            "",
            &[("a", &["e"])],
        ),
        (
            "unknown to us",
            &[("x", &["e"])],
            &[("A", "/m/a.ckpt")],
            &[("A", "/m/b.ckpt")],
            "",
            &[("x", &["e"])],
        ),
    ];
    for (what, listed, then, now, gone, expected) in table {
        let named = |places: &[(&str, &str)]| -> Vec<Named> {
            places.iter().map(|(content, path)| checkpoint(content, path)).collect()
        };
        let (listed, mut owners) = (index(listed), FileOwners::new());
        adopt(&listed, &named(then), &mut owners);
        let found = reconcile(&listed, &named(now), &owners, |file| file != gone);
        assert_eq!(found, index(expected), "{what}");
        let again = reconcile(&found, &named(now), &owners, |file| file != gone);
        assert_eq!(again, found, "{what}: once is enough");
        // An open web UI rewrites the old index from memory.
        adopt(&listed, &named(now), &mut owners);
        let rewritten = reconcile(&listed, &named(now), &owners, |file| file != gone);
        assert_eq!(rewritten, found, "{what}: rewritten from memory");
    }
}

#[test]
fn a_lora_is_listed_under_its_own_name_and_stays_there() {
    let listed = json!({"cc89": {"a": [entry("e", true)]}}).to_string();
    let listed = parse(listed.as_bytes()).unwrap();
    let mut owners = FileOwners::new();
    adopt(&listed, &[checkpoint("A", "/m/a.ckpt")], &mut owners);
    assert!(owners.is_empty());
    let found = reconcile(&listed, &[checkpoint("A", "/m/b.ckpt")], &owners, |_| true);
    assert_eq!(found, listed);
}

#[test]
fn only_what_the_extension_accepts_is_read_and_written() {
    let mut more = entry("e", false);
    more["note"] = json!("kept");
    let text = json!({"cc89": {"a": [more]}}).to_string();
    let read = parse(text.as_bytes()).unwrap();
    let written: Value = serde_json::to_value(&read).unwrap();
    assert_eq!(written.to_string(), text);

    let mut unknown = entry("e", false);
    unknown["config"]["sd"] = json!(1);
    let mut missing = entry("e", false);
    missing["config"].as_object_mut().unwrap().remove("refit");
    for broken in [
        "{".to_owned(),
        json!({"cc89": {"a": [unknown]}}).to_string(),
        json!({"cc89": {"a": [missing]}}).to_string(),
        json!({"version": 1}).to_string(),
    ] {
        parse(broken.as_bytes()).unwrap_err();
    }
}
