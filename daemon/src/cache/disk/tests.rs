use checkpoint::FileSystem;
use protocol::Shape;

use super::*;
use crate::{
    cache::table::{self, Entries},
    inventory::Outcome,
    samples::identified,
};

fn stamp(inode: u64) -> Stamp {
    Stamp { device: 1, inode, size: 3, mtime_ns: -4, ..Stamp::default() }
}

fn known(outcome: Outcome) -> Known {
    Known { outcome, changed_ns: 5, excerpt: None, is_compared: false }
}

#[test]
fn keeps_what_was_learned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    let outcome = Outcome::Rejected("a LoRA".into());
    let at = Path::new("/m/a");
    let engine = Id::from(blake3::hash(b"engine"));
    let parameters = vec![Parameter { name: "out.2.bias".into(), shape: vec![4] }];
    let mut shapes = InUse::default();
    shapes.note(&[Shape { width: 512, height: 768, batch: 2 }], 7);
    {
        let store = DiskCache::open(&path);
        store.remember(at, &stamp(2), &known(outcome.clone()));
        store.remember(at, &stamp(3), &known(identified("a")));
        store.set_back(&engine, Some(&Setback::Removed));
        store.set_paused(Some(Paused::default()));
        store.set_disks(&[("/m/disk".into(), MountedDisk::named("/"))].into());
        store.set_parameters(&engine, &parameters);
        store.set_shapes(&engine, Some(&shapes));
        store.flush().unwrap();
    }
    let store = DiskCache::open(&path);
    assert_eq!(store.known(at, &stamp(2)), Some(known(outcome)));
    assert_eq!(store.known(at, &stamp(3)), Some(known(identified("a"))));
    assert_eq!(store.known(at, &stamp(5)), None);
    let file_system = FileSystem { id: 7, ..FileSystem::default() };
    let remounted = Stamp { file_system, inode: 5, ..stamp(5) };
    assert_eq!(store.known(at, &remounted), Some(known(identified("a"))), "what lay there last");
    assert_eq!(store.known(Path::new("/m/b"), &remounted), None);
    assert_eq!(store.setbacks(), HashMap::from([(engine, Setback::Removed)]));
    assert!(store.paused().is_some());
    assert_eq!(store.parameters(&engine), Some(parameters));
    assert_eq!(store.shapes(), [(engine, shapes)].into());
    store.set_shapes(&engine, None);
    assert!(store.shapes().is_empty());
    assert_eq!(store.disks(), [("/m/disk".into(), MountedDisk::named("/"))].into());
    store.forget(&stamp(3));
    assert_eq!(store.known(at, &stamp(3)), None);
    store.set_paused(None);
    assert!(store.paused().is_none());
    store.set_back(&engine, None);
    assert!(store.setbacks().is_empty());
}

#[test]
fn an_error_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = |why: &str| known(Outcome::Rejected(why.to_owned()));
    let at = Path::new("/m/a");
    {
        let store = DiskCache::open(dir.path());
        store.remember(at, &stamp(2), &outcome("before"));
        store.flush().unwrap();
        let aside = dir.path().with_extension("aside");
        fs::rename(dir.path(), &aside).unwrap();
        fs::write(dir.path(), "in its place").unwrap();
        store.remember(at, &stamp(5), &outcome("after"));
        assert_eq!(store.known(at, &stamp(5)), Some(outcome("after")));
        store.flush().unwrap_err();
        assert!(store.problem().unwrap().contains("can't be written"));
        fs::remove_file(dir.path()).unwrap();
        fs::rename(&aside, dir.path()).unwrap();
        assert_eq!(store.known(at, &stamp(2)), Some(outcome("before")));
        store.flush().unwrap();
        assert_eq!(store.problem(), None);
    }
    let store = DiskCache::open(dir.path());
    assert_eq!(store.known(at, &stamp(2)), Some(outcome("before")));
    assert_eq!(store.known(at, &stamp(5)), Some(outcome("after")));
}

#[test]
fn the_newest_of_the_history_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = DiskCache::open(dir.path());
    let ended = |ended_at| Finished {
        engine: [4; 32].into(),
        weights_id: [1; 32].into(),
        location: "/m/a".into(),
        preset: "default".into(),
        outcome: protocol::Outcome::Built,
        reason: None,
        seconds: 1,
        bytes: None,
        ended_at,
    };
    let all = HISTORY as u64 + 3;
    (0..all).for_each(|time| store.record(&ended(time)));
    let times: Vec<_> = store.history().iter().map(|finished| finished.ended_at).collect();
    assert_eq!(times, (3..all).rev().collect::<Vec<_>>());
}

#[test]
fn a_broken_file_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    let store = DiskCache::open(&path);
    store.remember(Path::new("/m/a"), &stamp(2), &known(identified("a")));
    store.set_paused(Some(Paused::default()));
    store.flush().unwrap();
    fs::write(path.join(Part::Outcomes.file_name()), "garbage").unwrap();
    let store = DiskCache::open(&path);
    assert_eq!(store.known(Path::new("/m/a"), &stamp(2)), None);
    assert!(store.paused().is_some(), "each stands for itself");
    store.remember(Path::new("/m/a"), &stamp(2), &known(identified("a")));
    store.flush().unwrap();
    let store = DiskCache::open(&path);
    assert_eq!(store.known(Path::new("/m/a"), &stamp(2)), Some(known(identified("a"))));
}

#[test]
fn an_excerpt_is_kept_as_long_as_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, at) = (DiskCache::open(dir.path()), Path::new("/m/a"));
    let excerpt = |head: u64| -> Excerpt {
        serde_json::from_value(serde_json::json!({ "len": 9, "head": head, "blocks": [[1, 2]] }))
            .unwrap()
    };
    let remember = |head| {
        let key = store.keep_excerpt(&excerpt(head));
        store.remember(at, &stamp(2), &Known { excerpt: Some(key), ..known(identified("a")) });
        key
    };
    let first = remember(1);
    assert_eq!(store.excerpt(&first), Some(excerpt(1)));
    let second = remember(2);
    assert_eq!(store.excerpt(&first), Some(excerpt(1)), "what is on disk refers to it");
    store.flush().unwrap();
    assert_eq!((store.excerpt(&first), store.excerpt(&second)), (None, Some(excerpt(2))));
    assert_eq!(remember(2), second);
    store.flush().unwrap();
    assert_eq!(store.excerpt(&second), Some(excerpt(2)));

    let path = dir.path().join(excerpts()).join(second.to_string());
    let intact = fs::read(&path).unwrap();
    fs::write(&path, &intact[1..]).unwrap();
    assert_eq!(store.excerpt(&second), None, "half-written");
    fs::write(&path, intact).unwrap();
    store.forget(&stamp(2));
    store.flush().unwrap();
    assert!(!path.exists());
}

#[test]
fn what_failed_under_an_older_release_is_tried_again_and_what_was_removed_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let [failed, removed] =
        ["failed", "removed"].map(|name| Id::from(blake3::hash(name.as_bytes())));
    {
        let mut older = Entries::new();
        for (engine, setback) in
            [(failed, Setback::Failed("no disk".to_owned())), (removed, Setback::Removed)]
        {
            let engine = engine.to_string().into_bytes();
            older.insert(engine.into(), serde_json::to_vec(&setback).unwrap().into());
        }
        fs::write(dir.path().join("setbacks.3"), table::encode(&older)).unwrap();
        fs::write(dir.path().join("db"), "of another form").unwrap();
    }
    for _ in 0..2 {
        let store = DiskCache::open(dir.path());
        assert_eq!(store.setbacks(), [(removed, Setback::Removed)].into());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the older ones are gone");
        store.flush().unwrap();
    }
}

#[test]
fn whatever_lies_in_its_place_is_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    fs::write(&path, "a file").unwrap();
    drop(DiskCache::open(&path));
    for name in ["own", "conf"] {
        let _ = fs::remove_file(path.join(name));
        mknodat(CWD, path.join(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let store = DiskCache::open(&path);
        store.set_paused(Some(Paused::default()));
        store.flush().unwrap();
        assert!(DiskCache::open(&path).paused().is_some());
    }
    fs::remove_file(path.join("own")).unwrap();
    fs::create_dir_all(path.join("own/folder")).unwrap();
    let store = DiskCache::open(&path);
    assert!(store.paused().is_none());
    store.set_paused(Some(Paused::default()));
    store.flush().unwrap();
    assert!(DiskCache::open(&path).paused().is_some());
    fs::remove_dir_all(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
    DiskCache::open(&path);
}
