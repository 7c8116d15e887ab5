//! A file is read only once it has stopped changing.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io::Write,
};

use end_to_end::Workplace;
use protocol::State;

/// Writes half of a checkpoint and keeps the file open.
fn half_written(w: &Workplace, name: &str) -> (File, Vec<u8>) {
    let whole = w.path("whole");
    goldens::Manifest::load("sd1").unwrap().write_checkpoint(&whole).unwrap();
    let bytes = fs::read(whole).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut file = File::create(w.model(name)).unwrap();
    file.write_all(first).unwrap();
    (file, second.to_vec())
}

#[test]
fn a_copy_that_pauses_is_not_read_until_it_is_closed() {
    for started_first in [true, false] {
        let w = Workplace::new();
        let started = started_first.then(|| w.daemon());
        let (mut copying, rest) = half_written(&w, "copying.safetensors");
        let _daemon = started.unwrap_or_else(|| w.daemon());
        let mut watching = w.watch();
        let path = w.model("copying.safetensors");
        watching.until("it is seen", |seen| seen.at(&path).is_some());

        // Another file is written and read meanwhile, twice: several settle times pass.
        for seed in [7, 8] {
            let other = w.write_checkpoint(format!("{seed}.safetensors"), seed);
            watching.until("the other is read", |seen| {
                seen.at(&other).is_some_and(|entry| entry.weights_id.is_some())
            });
            assert_eq!(watching.at(&path).unwrap().state, State::Settling);
        }

        copying.write_all(&rest).unwrap();
        drop(copying);
        watching.until("it is read", |seen| {
            seen.at(&path).is_some_and(|entry| entry.weights_id.is_some())
        });
    }
}

#[test]
fn an_unfinished_download_is_ignored() {
    let w = Workplace::new();
    let _daemon = w.daemon();
    let whole = w.path("whole");
    goldens::Manifest::load("sd1").unwrap().write_checkpoint(&whole).unwrap();
    let unfinished =
        ["a.safetensors.part", "a.safetensors.crdownload", "a.tmp", "a.safetensors.aria2"];
    for name in unfinished {
        fs::copy(&whole, w.model(name)).unwrap();
        assert_eq!(w.settled_list(), [], "{name}");
    }
    for left in ["a.safetensors.crdownload", "a.safetensors.aria2"] {
        fs::remove_file(w.model(left)).unwrap();
    }
    fs::rename(w.model("a.safetensors.part"), w.model("a.safetensors")).unwrap();
    assert!(w.only().weights_id.is_some());
}

#[test]
fn a_download_that_looks_whole_is_read_once_its_control_file_is_gone() {
    let w = Workplace::new();
    let control = w.model("a.safetensors.aria2");
    fs::write(&control, "x").unwrap();
    let path = w.write_checkpoint("a.safetensors", 1);
    // As does a browser that keeps a place.
    fs::write(w.model("place.safetensors"), "").unwrap();
    let _daemon = w.daemon();
    let mut watching = w.watch();
    watching.until("it says what it waits for", |seen| {
        let reason = seen.at(&path).and_then(|entry| entry.reason.as_deref());
        reason.is_some_and(|why| why.contains("a.safetensors.aria2"))
    });
    assert_eq!(watching.checkpoints().len(), 1);
    assert_eq!(watching.at(&path).unwrap().state, State::Settling);
    fs::remove_file(control).unwrap();
    watching
        .until("it is read", |seen| seen.at(&path).is_some_and(|entry| entry.weights_id.is_some()));
}
