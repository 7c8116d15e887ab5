//! What in a models folder is nobody's checkpoint, and what lies there under several names.
#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::symlink};

use end_to_end::Workplace;

#[test]
fn what_is_thrown_into_a_trash_is_deleted_and_comes_back_from_there() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let trash = w.model(".Trash-1000/files");
    fs::create_dir_all(&trash).unwrap();
    let _daemon = w.daemon();
    let id = w.only().weights_id;
    let mut watching = w.watch();
    fs::rename(&path, trash.join("a.safetensors")).unwrap();
    watching.until("it is gone", |seen| seen.checkpoints().is_empty());
    fs::rename(&trash, w.model("restored")).unwrap();
    let restored = w.model("restored/a.safetensors");
    watching.until("it is back", |seen| {
        seen.at(&restored).is_some_and(|entry| entry.weights_id.is_some() && entry.weights_id == id)
    });
}

#[test]
fn a_folder_of_many_names_is_listed_under_one_and_found_by_all() {
    let w = Workplace::new();
    w.write_checkpoint("deep/er/a.safetensors", 1);
    symlink("deep/er", w.model("link")).unwrap();
    symlink("deep/er", w.model("longer link")).unwrap();
    symlink(".", w.model("deep/around")).unwrap();
    symlink("..", w.model("deep/up")).unwrap();
    let _daemon = w.daemon();
    let entry = w.only();
    assert_eq!(entry.locations, [Workplace::shown(&w.model("link/a.safetensors"))]);
    for name in ["link", "longer link", "deep/er", "deep/around/around/er", "deep/up/deep/up/link"]
    {
        let path = w.model(name).join("a.safetensors");
        let shown = w.ctl(&["show", path.to_str().unwrap(), "--json"]);
        assert_eq!(shown.code, 0, "{name}: {shown:?}");
        assert_eq!(shown.json()["weights_id"], serde_json::json!(entry.weights_id), "{name}");
    }
    assert_ne!(w.ctl(&["show", w.model("nowhere/a.safetensors").to_str().unwrap()]).code, 0);
}
