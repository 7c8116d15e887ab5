use protocol::Shape;

use super::*;
use crate::samples::identified;

const STAMP: Stamp = Stamp { device: 1, inode: 2, size: 3, mtime_ns: -4 };

#[test]
fn keeps_what_was_learned() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    let outcome = Outcome::Rejected("a LoRA".into());
    let other = Stamp { inode: 3, ..STAMP };
    let engine = Id::from(blake3::hash(b"engine"));
    let parameters = vec![Parameter { name: "out.2.bias".into(), shape: vec![4] }];
    let mut shapes = InUse::default();
    shapes.note(&[Shape { width: 512, height: 768, batch: 2 }], 7);
    {
        let store = Disk::open(&path).unwrap();
        store.remember(&STAMP, &outcome);
        store.remember(&other, &identified("a"));
        store.set_back(&engine, Some(&Setback::Removed));
        store.set_paused(true);
        store.set_mounts(&["/m/disk".into()].into());
        store.set_parameters(&engine, &parameters);
        store.set_shapes(&engine, Some(&shapes));
        store.flush();
    }
    let store = Disk::open(&path).unwrap();
    assert_eq!(store.outcome(&STAMP), Some(outcome));
    assert_eq!(store.outcome(&other), Some(identified("a")));
    assert_eq!(store.outcome(&Stamp { inode: 5, ..STAMP }), None);
    assert_eq!(store.setbacks(), HashMap::from([(engine, Setback::Removed)]));
    assert!(store.is_paused());
    assert_eq!(store.parameters(&engine), Some(parameters));
    assert_eq!(store.shapes(), [(engine, shapes)].into());
    store.set_shapes(&engine, None);
    assert!(store.shapes().is_empty());
    assert_eq!(store.mounts(), ["/m/disk".into()].into());
    store.set_paused(false);
    assert!(!store.is_paused());
    store.set_back(&engine, None);
    assert!(store.setbacks().is_empty());
}

#[test]
fn an_error_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = |why: &str| Outcome::Rejected(why.to_owned());
    let other = Stamp { inode: 5, ..STAMP };
    {
        let store = Disk::open(dir.path()).unwrap();
        store.remember(&STAMP, &outcome("before"));
        store.flush();
        store.note("as on a full disk");
        store.remember(&other, &outcome("after"));
        assert_eq!(store.outcome(&other), Some(outcome("after")));
        store.flush();
        assert!(!store.broken.load(Ordering::Relaxed));
    }
    let store = Disk::open(dir.path()).unwrap();
    assert_eq!(store.outcome(&STAMP), Some(outcome("before")));
    assert_eq!(store.outcome(&other), Some(outcome("after")));
}

#[test]
fn the_newest_of_the_history_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Disk::open(dir.path()).unwrap();
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
fn a_broken_database_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("learned");
    drop(Disk::open(&path).unwrap());
    fs::write(path.join("conf"), "garbage").unwrap();
    fs::write(path.join("db"), [7; 4096]).unwrap();
    let store = Disk::open(&path).unwrap();
    assert_eq!(store.outcome(&STAMP), None);
}
