//! Whatever is done to a known file, it is soon known for what it holds.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use checkpoint::{Checkpoint, is_checkpoint_name};
use end_to_end::{
    Watching, Workplace,
    ways::{Ground, INSIDE, OUTSIDE, WAYS, Way},
};
use goldens::Manifest;

/// Ways that are tried on one daemon: each takes 45 MB of the temp folder.
const AT_ONCE: usize = 4;

/// A ground for each of these ways, in which no two files hold the same.
fn grounds(w: &Workplace, ways: &[(&str, Way)]) -> Vec<Ground> {
    let time = SystemTime::now() - Duration::from_secs(86_400);
    let contents = [1, 2, 3, 4, 5].map(|seed| {
        let path = w.path(format!("content {seed}"));
        Manifest::load("sd1").unwrap().reseed(seed).write_checkpoint(&path).unwrap();
        path
    });
    let ground = |number: usize| {
        let ground = Ground {
            inside: w.model(format!("{number:02}")),
            outside: w.path(format!("outside/{number:02}")),
        };
        let inside = INSIDE.iter().map(|name| ground.inside.join(name));
        let outside = OUTSIDE.iter().map(|name| ground.outside.join(name));
        for (content, path) in contents.iter().zip(inside.chain(outside)) {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(content, &path).unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
        ground.prepare().unwrap();
        ground
    };
    (0..ways.len()).map(ground).collect()
}

/// Every file below `dir` and what it holds, by reading it.
fn truth(dir: &Path) -> BTreeMap<PathBuf, Option<String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(truth(&path));
        } else if is_checkpoint_name(&path) {
            let id = Checkpoint::open(&path).unwrap().ids().unwrap().weights.to_string();
            found.insert(path, Some(id));
        }
    }
    found
}

/// What the daemon says they hold.
fn told(watching: &Watching, dir: &Path) -> BTreeMap<PathBuf, Option<String>> {
    let all = watching.checkpoints().values();
    let locations = all.flat_map(|entry| {
        entry
            .locations
            .iter()
            .map(|path| (PathBuf::from(path), entry.weights_id.map(|id| id.to_string())))
    });
    locations.filter(|(path, _)| path.starts_with(dir)).collect()
}

fn wait_for_truth(w: &Workplace, grounds: &[Ground], ways: &[(&str, Way)], when: &str) {
    let mut watching = w.watch();
    for (ground, (way, _)) in grounds.iter().zip(ways) {
        let truth = truth(&ground.inside);
        watching.until(&format!("{way}, {when}: {truth:#?}"), |seen| {
            told(seen, &ground.inside) == truth
        });
    }
}

#[test]
fn other_content_under_a_known_name_is_seen_while_the_daemon_runs() {
    for ways in WAYS.chunks(AT_ONCE) {
        let w = Workplace::new();
        let grounds = grounds(&w, ways);
        let _daemon = w.daemon();
        wait_for_truth(&w, &grounds, ways, "before");
        for (ground, (_, way)) in grounds.iter().zip(ways) {
            way(ground).unwrap();
        }
        wait_for_truth(&w, &grounds, ways, "running");
    }
}

#[test]
fn other_content_under_a_known_name_is_seen_when_the_daemon_starts() {
    for ways in WAYS.chunks(AT_ONCE) {
        let w = Workplace::new();
        let grounds = grounds(&w, ways);
        let daemon = w.daemon();
        wait_for_truth(&w, &grounds, ways, "before");
        assert_eq!(daemon.stop(), Some(0));
        for (ground, (_, way)) in grounds.iter().zip(ways) {
            way(ground).unwrap();
        }
        let _daemon = w.daemon();
        wait_for_truth(&w, &grounds, ways, "stopped");
    }
}

#[test]
fn every_checkpoint_is_read_on_demand() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let _daemon = w.daemon();
    let before = w.only();
    let verified = w.ctl(&["verify", "--checkpoints", "--json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let found = verified.json();
    assert_eq!(
        found[0]["weights_id"].as_str(),
        before.weights_id.map(|id| id.to_string()).as_deref()
    );
    assert!(found[0]["problem"].is_null(), "{found}");
}
