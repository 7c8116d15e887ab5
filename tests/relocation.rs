//! Content keeps its identity wherever its file moves, without being read again.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use end_to_end::Workplace;
use protocol::{Checkpoint, State};

/// The most bytes that requests and bookkeeping read; the checkpoint has 9 million.
const SMALL_TALK: u64 = 1_000_000;

fn shown(paths: &[&Path]) -> Vec<String> {
    let mut shown: Vec<String> = paths.iter().map(|path| Workplace::shown(path)).collect();
    shown.sort();
    shown
}

#[test]
fn a_rename_inside_a_watched_folder_reads_nothing() {
    let w = Workplace::new();
    let first = w.write_checkpoint("a.safetensors", 1);
    let daemon = w.daemon();
    let before = w.only();
    let read = daemon.bytes_read();

    let second = w.model("sub/folder/b.safetensors");
    fs::create_dir_all(second.parent().unwrap()).unwrap();
    fs::rename(&first, &second).unwrap();
    let after = w.only();

    assert_eq!(after, Checkpoint { locations: shown(&[&second]), ..before });
    let read = daemon.bytes_read() - read;
    assert!(read < SMALL_TALK, "{read} bytes were read");
}

#[test]
fn a_burst_of_renames_and_a_moved_folder_read_nothing() {
    const COUNT: usize = 20;
    let w = Workplace::new();
    let names = |folder: &str, name: &str| {
        (0..COUNT).map(|n| w.model(format!("{folder}/{name} {n}.safetensors"))).collect::<Vec<_>>()
    };
    let first = names("shelf/folder", "a");
    fs::create_dir_all(first[0].parent().unwrap()).unwrap();
    let written = w.write_checkpoint("written.safetensors", 1);
    for path in &first {
        fs::hard_link(&written, path).unwrap();
    }
    fs::remove_file(written).unwrap();
    let daemon = w.daemon();
    let before = w.only();
    let read = daemon.bytes_read();

    let renamed = names("shelf/folder", "b");
    for (from, to) in first.iter().zip(&renamed) {
        fs::rename(from, to).unwrap();
    }
    let locations =
        |paths: &[PathBuf]| shown(&paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(w.only(), Checkpoint { locations: locations(&renamed), ..before.clone() });

    fs::rename(w.model("shelf"), w.model("moved")).unwrap();
    let moved = names("moved/folder", "b");
    assert_eq!(w.only(), Checkpoint { locations: locations(&moved), ..before.clone() });

    // The folder is still watched, by its new name.
    let mut watching = w.watch();
    fs::rename(&moved[0], w.model("moved/folder/c.safetensors")).unwrap();
    watching
        .until("the last rename", |seen| seen.at(&w.model("moved/folder/c.safetensors")).is_some());
    let read = daemon.bytes_read() - read;
    assert!(read < SMALL_TALK, "{read} bytes were read");
}

#[test]
fn links_and_copies_are_one_checkpoint() {
    let w = Workplace::new();
    let file = w.write_checkpoint("a.safetensors", 1);
    let elsewhere = w.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let _daemon = w.daemon();
    let id = w.only().weights_id;

    let ways: [(&str, &dyn Fn() -> PathBuf); 4] = [
        ("a copy", &|| {
            fs::copy(&file, w.model("copy.safetensors")).unwrap();
            w.model("copy.safetensors")
        }),
        ("a hard link", &|| {
            fs::hard_link(&file, w.model("hard.safetensors")).unwrap();
            w.model("hard.safetensors")
        }),
        ("a link", &|| {
            symlink(&file, w.model("soft.safetensors")).unwrap();
            w.model("soft.safetensors")
        }),
        ("a linked folder", &|| {
            fs::copy(&file, elsewhere.join("far.safetensors")).unwrap();
            symlink(&elsewhere, w.model("linked")).unwrap();
            w.model("linked/far.safetensors")
        }),
    ];
    for (way, make) in ways {
        let other = make();
        let both = w.only();
        assert_eq!(both.weights_id, id, "{way}");
        assert_eq!(both.locations, shown(&[&file, &other]), "{way}");
        if other.starts_with(w.model("linked")) {
            fs::remove_file(w.model("linked")).unwrap();
        } else {
            fs::remove_file(&other).unwrap();
        }
        assert_eq!(w.only().locations, shown(&[&file]), "{way}, removed again");
    }
}

#[test]
fn a_move_while_the_daemon_is_stopped_reads_nothing() {
    let w = Workplace::new();
    let first = w.write_checkpoint("a.safetensors", 1);
    let daemon = w.daemon();
    let before = w.only();
    assert_eq!(daemon.stop(), Some(0));

    let second = w.model("moved.safetensors");
    fs::rename(&first, &second).unwrap();
    let daemon = w.daemon();
    let after = w.only();

    assert_eq!(after, Checkpoint { locations: shown(&[&second]), ..before });
    assert!(daemon.bytes_read() < SMALL_TALK, "{} bytes were read", daemon.bytes_read());
}

#[test]
fn new_content_under_the_same_name_is_another_checkpoint() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let _daemon = w.daemon();
    let first = w.only();
    w.write_checkpoint("a.safetensors", 2);
    let second = w.only();
    assert_eq!(second.locations, shown(&[&path]));
    assert_ne!(second.weights_id, first.weights_id);
    assert_ne!(second.unet_id, first.unet_id);
}

#[test]
fn a_models_folder_may_vanish_and_come_back() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let daemon = w.daemon();
    let before = w.only();
    let read = daemon.bytes_read();
    let mut watching = w.watch();

    fs::rename(w.models(), w.path("away")).unwrap();
    watching.until("it is gone", |seen| seen.checkpoints().is_empty());
    let status = w.ctl(&["status", "--json"]).json();
    let problem = status["models_dirs"][0]["problem"].as_str().unwrap_or_default().to_owned();
    assert!(problem.contains("does not exist"), "{status}");

    fs::rename(w.path("away"), w.models()).unwrap();
    watching.until("it is back", |seen| seen.checkpoints().len() == 1);
    assert_eq!(w.only(), before);
    assert!(daemon.bytes_read() - read < SMALL_TALK);
}

#[test]
fn without_engines_a_deleted_checkpoint_leaves_nothing() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let _daemon = w.daemon();
    assert_eq!(w.only().state, State::Queued, "there is no TensorRT");
    fs::remove_file(path).unwrap();
    assert_eq!(w.settled_list(), []);
}
