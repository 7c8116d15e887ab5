//! What is kept on disk, for how long, and what is evicted.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use end_to_end::Workplace;
use protocol::{Checkpoint, Disk, Engine, Garbage, State};

fn unet_id(w: &Workplace, path: &Path) -> String {
    let identity = w.ctl(&["identify".as_ref(), path.as_os_str(), "--json".as_ref()]).json();
    identity["unet_id"].as_str().unwrap().to_owned()
}

fn disk(w: &Workplace) -> Disk {
    serde_json::from_str(&w.ctl(&["disk", "--json"]).stdout).unwrap()
}

fn gc(w: &Workplace, more: &[&str]) -> Vec<Garbage> {
    serde_json::from_str(&w.ctl(&[&["gc", "--json"], more].concat()).stdout).unwrap()
}

fn only_engine(w: &Workplace) -> Engine {
    let entry = w.only();
    assert_eq!(entry.engines.len(), 1, "{entry:#?}");
    Engine::clone(&entry.engines[0])
}

fn is_orphaned(entry: &Checkpoint) -> bool {
    entry.engines.iter().any(|engine| engine.orphaned_since.is_some())
}

#[test]
fn an_orphan_is_removed_after_its_grace_period_unless_pinned() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let plan = w.put_engine("ab", &unet_id(&w, &path), 1000);
    fs::create_dir(w.data().join("logs")).unwrap();
    let [kept, left] =
        ["ab", "cd"].map(|key| w.data().join(format!("logs/{}.log", key.repeat(32))));
    for log in [&kept, &left] {
        fs::write(log, "TensorRT said").unwrap();
    }
    let gone = "cd".repeat(32);
    let from_webui = [format!("proofs/{gone}-0123456789ab.json"), format!("kernels/{gone}.cache")]
        .map(|name| w.data().join(name));
    for file in &from_webui {
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(file, "{}").unwrap();
    }
    // Old logs are removed at the start, and then once a day.
    let _daemon = w.idle_daemon_with(&["--orphan-days", "0"]);
    let mut watching = w.watch();
    watching.until("the checkpoint is known", |seen| {
        seen.at(&path).is_some_and(|entry| entry.engines.len() == 1)
    });
    assert_eq!(only_engine(&w).orphaned_since, None);
    assert!(plan.exists() && kept.exists() && !left.exists());
    assert!(!from_webui.iter().any(|file| file.exists()));
    assert_eq!((disk(&w).sums.engines, disk(&w).sums.orphans), (1000, 0));
    fs::write(&left, "TensorRT said").unwrap();

    fs::remove_file(&path).unwrap();
    watching.until("it is orphaned", |seen| seen.checkpoints().values().any(is_orphaned));
    assert_eq!(disk(&w).sums.orphans, 1000);
    assert_eq!(w.ctl(&["pin", "abab"]).code, 0);
    let shown = |garbage: &[Garbage]| -> Vec<String> {
        garbage.iter().map(|garbage| garbage.path.clone()).collect()
    };
    let left = Workplace::shown(&left);
    assert_eq!(shown(&gc(&w, &["--dry-run"])), [left.as_str()], "pinned");

    assert_eq!(w.ctl(&["unpin", "abab"]).code, 0);
    let all = [&plan, Path::new(&left), &kept].map(Workplace::shown);
    let mut would_go = shown(&gc(&w, &["--dry-run"]));
    would_go[1..].sort();
    let mut expected = all.clone();
    expected[1..].sort();
    assert_eq!(would_go, expected);
    assert!(plan.exists(), "a dry run");
    assert_eq!(gc(&w, &[]).len(), 3);
    assert!(all.iter().all(|path| !Path::new(path).exists()));
    assert_eq!((w.settled_list().len(), gc(&w, &[]).len()), (0, 0));
}

#[test]
fn pins_and_orphans_survive_a_restart_and_a_lost_cache() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    w.put_engine("ab", &unet_id(&w, &path), 1000);
    fs::rename(&path, w.path("away")).unwrap();
    let daemon = w.daemon();
    let mut watching = w.watch();
    watching.until("it is orphaned", |seen| seen.checkpoints().values().any(is_orphaned));
    let pinned: Vec<Engine> =
        serde_json::from_str(&w.ctl(&["pin", "ab", "--json"]).stdout).unwrap();
    assert!(pinned[0].pinned && pinned[0].last_used < pinned[0].orphaned_since.unwrap());

    assert_eq!(daemon.stop(), Some(0));
    fs::remove_dir_all(w.data().join("learned")).unwrap();
    let daemon = w.daemon();
    assert_eq!(only_engine(&w), pinned[0], "the pin and the orphan's age are kept");

    assert_eq!(daemon.stop(), Some(0));
    fs::rename(w.path("away"), &path).unwrap();
    let _daemon = w.daemon();
    let mut watching = w.watch();
    watching
        .until("it is reused", |seen| seen.at(&path).is_some_and(|entry| entry.engines.len() == 1));
    let engine = only_engine(&w);
    assert_eq!((engine.pinned, engine.orphaned_since), (true, None));
    assert!(engine.last_used > pinned[0].last_used, "it is used again");
    assert_eq!(w.ctl(&["unpin", "a.safetensors"]).code, 0);
    assert!(!only_engine(&w).pinned);
    let refused = w.ctl(&["pin", "nothing"]);
    assert!(refused.code == 1 && refused.stderr.contains("'nothing'"), "{refused:?}");
}

#[test]
fn over_the_quota_only_unneeded_engines_are_evicted() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let used = w.put_engine("aa", &unet_id(&w, &path), 500);
    let pinned = w.put_engine("bb", &"1".repeat(64), 500);
    let orphan = w.put_engine("cc", &"2".repeat(64), 500);
    let daemon = w.daemon();
    let mut watching = w.watch();
    watching.until("both are orphaned", |seen| {
        seen.checkpoints().values().filter(|entry| is_orphaned(entry)).count() == 2
    });
    assert_eq!(w.ctl(&["pin", "bb"]).code, 0);
    assert_eq!(daemon.stop(), Some(0));

    // Without the cache every file must be read again, but none counts as deleted meanwhile.
    fs::remove_dir_all(w.data().join("learned")).unwrap();
    let _daemon = w.idle_daemon_with(&["--quota", "1 kB"]);
    let mut watching = w.watch();
    watching.until("one has gone", |seen| {
        seen.at(&path).is_some_and(|entry| entry.engines.len() == 1)
            && seen.checkpoints().len() == 2
    });
    assert!(used.exists() && pinned.exists() && !orphan.exists());
    assert_eq!((disk(&w).sums.engines, disk(&w).quota), (1000, Some(1000)));
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn an_outdated_engine_is_used_until_its_replacement_is_built() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let unet_id = unet_id(&w, &path);
    let old = w.put_engine("ab", &unet_id, 1000);
    let pinned = w.put_engine("cd", &unet_id, 1000);
    // No disk has this much free space.
    let crowded = ["--compute-capability", "8.9", "--min-free", "1 EB"];
    let daemon = w.building_daemon_with(&crowded);
    assert_eq!(w.ctl(&["pin", "cd"]).code, 0);
    let refused = w.ctl(&["wait", "a"]);
    assert!(refused.code == 1 && refused.stderr.contains("min_free"), "{refused:?}");
    let waiting = w.only();
    assert_eq!(waiting.state, State::Queued, "{waiting:#?}");
    assert!(waiting.reason.unwrap().contains("min_free"));
    for engine in &waiting.engines {
        let changed = engine.outdated.as_deref().unwrap();
        assert!(changed.contains("TensorRT 1.5.0.0 → 1.") && changed.contains("recipe 0 → "));
        assert!(changed.contains("compute capability default → 8.9"), "{changed}");
        assert!(changed.contains("presets changed"), "{changed}");
        assert_eq!(engine.state, State::Ready);
    }
    let why = w.ctl(&["status", "--json"]).json()["queue"][0]["why"].clone();
    assert_eq!(why.as_str(), waiting.engines[0].outdated.as_deref());
    assert!(waiting.engines.len() == 2 && old.exists());
    assert_eq!(daemon.stop(), Some(0));

    let _daemon = w.building_daemon();
    w.wait();
    let ready = w.only();
    assert_eq!((ready.state, ready.engines.len()), (State::Ready, 2), "{ready:#?}");
    assert!(!old.exists() && !old.with_extension("json").exists());
    assert!(pinned.exists(), "a pinned one stays");
    let outdated = ready.engines.iter().filter(|engine| engine.outdated.is_some());
    assert!(outdated.map(|engine| engine.pinned).eq([true]));
    assert_eq!(w.ctl(&["unpin", "cd"]).code, 0);
    assert_eq!(gc(&w, &[]).len(), 1);
    assert!(!pinned.exists());
    assert_eq!(w.only().engines.len(), 1);
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn an_engine_waits_for_the_quota_until_another_can_be_evicted() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let orphan = w.put_engine("ab", &"1".repeat(64), 200_000_000);
    let daemon = w.daemon();
    assert_eq!(w.ctl(&["pin", "ab"]).code, 0);
    assert_eq!(daemon.stop(), Some(0));

    // Space for one engine of a golden checkpoint, which may take up to 277 MB.
    let _daemon = w.building_daemon_with(&["--quota", "280 MB"]);
    let refused = w.ctl(&["wait", "a"]);
    assert!(refused.code == 1 && refused.stderr.contains("quota of 280.0 MB"), "{refused:?}");
    let status = w.ctl(&["status"]).stdout;
    assert!(status.contains("no engine yet; waits for disk space: the quota"), "{status}");
    assert!(orphan.exists());

    let mut watching = w.watch();
    assert_eq!(watching.at(&path).unwrap().state, State::Queued);
    assert_eq!(w.ctl(&["unpin", "ab"]).code, 0);
    watching.until("it is built", |seen| seen.building().is_some());
    assert!(!orphan.exists(), "it made room");
}
