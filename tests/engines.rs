//! Engines built by the real TensorRT-RTX, from the first build to their removal.
#![allow(clippy::unwrap_used)]

use std::fs;

use end_to_end::{Daemon, Watching, Workplace};
use protocol::{Checkpoint, Engine, Id, State};
use serde_json::{Value, json};

fn only_engine(checkpoint: &Checkpoint) -> &Engine {
    assert_eq!(checkpoint.state, State::Ready, "{checkpoint:#?}");
    assert_eq!(checkpoint.engines.len(), 1, "{checkpoint:#?}");
    &checkpoint.engines[0]
}

/// The engine without the time when it was last used.
fn at_any_time(engine: &Engine) -> Engine {
    Engine { last_used: engine.built_at, orphaned_since: None, ..engine.clone() }
}

fn engine_files(w: &Workplace) -> Vec<String> {
    let entries = fs::read_dir(w.data().join("engines")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The locations of every checkpoint with engines, and the engines' keys, as the web UI reads them.
fn indexed(w: &Workplace) -> Value {
    let index: Value =
        serde_json::from_slice(&fs::read(w.data().join("index.json")).unwrap()).unwrap();
    let checkpoints = index["checkpoints"].as_array().unwrap().iter();
    checkpoints.map(|found| json!([found["locations"], found["engines"][0]["id"]])).collect()
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn an_engine_belongs_to_its_checkpoints_content() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let daemon = w.building_daemon();
    w.wait();
    let built = w.only();
    let engine = only_engine(&built).clone();
    assert_eq!(engine.presets, ["default", "dynamic"]);
    assert_eq!(engine.flavour, "tensorrt-rtx");
    assert_eq!(engine.compute_capabilities, ["8.9"]);
    assert_eq!(fs::metadata(&engine.path).unwrap().len(), engine.bytes);
    assert_eq!(indexed(&w), json!([[[path], engine.key]]));
    let verified = w.ctl(&["verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");

    let copy = w.path("a.plan");
    let materialize = ["materialize", "a", "--output", copy.to_str().unwrap()];
    let materialized = w.ctl(&materialize);
    assert_eq!(materialized.code, 0, "{materialized:?}");
    // TensorRT's builds are not reproducible byte for byte.
    let sizes =
        [copy.as_path(), engine.path.as_ref()].map(|path| fs::metadata(path).unwrap().len());
    assert!(sizes[0].abs_diff(sizes[1]) < sizes[1] / 10, "{sizes:?}");
    assert_eq!(w.ctl(&materialize).code, 1, "it is there already");

    let moved = w.model("sub/b.safetensors");
    fs::create_dir(w.model("sub")).unwrap();
    fs::rename(&path, &moved).unwrap();
    assert_eq!(only_engine(&w.only()), &engine, "moved");
    assert_eq!(indexed(&w), json!([[[moved], engine.key]]));

    fs::copy(&moved, w.model("copy.safetensors")).unwrap();
    let both = w.only();
    assert_eq!((both.locations.len(), only_engine(&both)), (2, &engine), "copied");

    assert_eq!(daemon.stop(), Some(0));
    fs::remove_file(w.model("copy.safetensors")).unwrap();
    fs::rename(&moved, w.path("away")).unwrap();
    let daemon = w.building_daemon();
    let orphan = w.only();
    assert_eq!((orphan.state, &orphan.weights_id), (State::Orphaned, &built.weights_id));
    assert_eq!(orphan.engines.len(), 1);
    assert_eq!(indexed(&w), json!([]));
    assert_eq!(at_any_time(&orphan.engines[0]), engine);

    fs::copy(w.path("away"), &path).unwrap();
    assert_eq!(at_any_time(only_engine(&w.only())), engine, "put back");

    assert_eq!(daemon.stop(), Some(0));
    fs::remove_dir_all(w.data().join("learned")).unwrap();
    let daemon = w.building_daemon();
    assert_eq!(at_any_time(only_engine(&w.only())), engine, "without the cache");
    assert_eq!(engine_files(&w).len(), 3, "plan, manifest and usage: {:?}", engine_files(&w));

    assert_eq!(daemon.stop(), Some(0));
    write_proof(&w, &engine, built.unet_id.unwrap());
    let _daemon = w.building_daemon();
    let failed = w.only();
    assert_eq!((failed.state, failed.engines[0].state), (State::Failed, State::Failed));
    assert!(failed.reason.unwrap().contains("3.0e-1 off PyTorch"));
}

/// Writes the file that the web UI leaves when it finds an engine to be inaccurate.
fn write_proof(w: &Workplace, engine: &Engine, unet: Id) {
    let proofs = w.data().join("proofs");
    fs::create_dir(&proofs).unwrap();
    let proof = json!({ "version": 1, "engine": engine.key, "unet": unet, "relative_error": 0.3,
        "bound": 0.02 });
    fs::write(proofs.join(format!("{}-{}.json", engine.key, unet.short())), proof.to_string())
        .unwrap();
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_torch_file_and_a_safetensors_file_of_the_same_tensors_share_an_engine() {
    let w = Workplace::new();
    w.write_checkpoint("a.ckpt", 1);
    let _daemon = w.building_daemon();
    w.wait();
    let built = w.only();
    let engine = only_engine(&built).clone();

    w.write_checkpoint("a.safetensors", 1);
    let both = w.only();
    assert_eq!((&both.weights_id, &both.unet_id), (&built.weights_id, &built.unet_id));
    assert_eq!((both.locations.len(), only_engine(&both)), (2, &engine));
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_shared_engine_serves_every_checkpoint_of_its_kind_and_every_gpu() {
    let w = Workplace::new();
    let config = w.path("sdtrtd.toml");
    fs::write(&config, "fixed_engines = 1").unwrap();
    let first = w.write_checkpoint("a.safetensors", 1);
    // The variable would override the file.
    let mut command = w.sdtrtd();
    command.env_remove("SDTRT_FIXED_ENGINES");
    let runtime = std::env::var("SDTRT_TEST_RUNTIME").unwrap();
    let arguments = ["--config", config.to_str().unwrap(), "--tensorrt-dir", &runtime];
    let _daemon = w.run(command, &arguments);
    w.wait();
    let mut watching = w.watch();
    watching.until("its fixed engine follows", |seen| {
        seen.at(&first).is_some_and(|entry| entry.engines.len() == 3 && entry.coming.is_empty())
    });
    let ready = w.only();
    assert!(ready.engines.iter().all(|engine| engine.shared && engine.outdated.is_none()));
    let capabilities = ["8.0", "8.6", "8.9", "12.0", "12.1"];
    assert!(ready.engines.iter().all(|engine| engine.compute_capabilities == capabilities));
    let check = w.ctl(&["check", "512x512", "--json"]).json();
    assert_eq!(check[0]["passes"][0]["fixed"], true, "{check}");
    assert_eq!(w.ctl(&["list"]).stdout.matches("default, dynamic +1 fixed").count(), 1);

    let second = w.write_checkpoint("b.safetensors", 2);
    watching.until("the second has them at once", |seen| {
        seen.at(&second).is_some_and(|entry| entry.state == State::Ready)
    });
    assert_eq!(watching.at(&second).unwrap().engines, ready.engines);
    assert_eq!(engine_files(&w).len(), 6, "plans and manifests: {:?}", engine_files(&w));
    let index: Value =
        serde_json::from_slice(&fs::read(w.data().join("index.json")).unwrap()).unwrap();
    assert_eq!(index["signatures"][0]["engines"].as_array().unwrap().len(), 3);
    assert_eq!(index["checkpoints"].as_array().unwrap().len(), 2);
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_damaged_engine_is_rebuilt_and_a_removed_one_is_not() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let _daemon = w.building_daemon();
    w.wait();
    let engine = only_engine(&w.only()).clone();

    let mut plan = fs::read(&engine.path).unwrap();
    let middle = plan.len() / 2;
    plan[middle] ^= 1;
    fs::write(&engine.path, plan).unwrap();
    let verified = w.ctl(&["verify"]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stdout.contains(&engine.key.short()), "{verified:?}");
    w.wait();
    assert_eq!(only_engine(&w.only()).key, engine.key);
    assert_eq!(w.ctl(&["verify"]).code, 0);

    assert_eq!(w.ctl(&["remove", &engine.key.short()]).code, 0);
    let without = w.only();
    assert_eq!((without.state, without.engines.len()), (State::Off, 0));
    assert!(without.reason.unwrap().contains("sdtrtctl build"));
    assert_eq!(engine_files(&w), [""; 0]);

    assert_eq!(w.ctl(&["build", "a"]).code, 0);
    w.wait();
    assert_eq!(only_engine(&w.only()).key, engine.key);
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_killed_worker_or_daemon_leaves_no_incomplete_engine() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let daemon = w.building_daemon();
    let mut watching = w.watch();
    for phase in ["parse", "build"] {
        watching.until(phase, |seen| seen.building().is_some_and(|b| b.phase == phase));
        let [worker] = daemon.workers()[..] else { panic!("one worker is at work") };
        Daemon::kill(worker);
        watching.until("it starts over", |seen| {
            seen.building().is_some_and(|build| build.phase == "graph")
        });
        assert_eq!(engine_files(&w), [""; 0], "{phase}");
    }
    watching.until("build", |seen| seen.building().is_some_and(|b| b.phase == "build"));
    let workers = daemon.workers();
    Daemon::kill(daemon.pid());
    drop(daemon);
    assert_eq!(workers.len(), 1);

    let _daemon = w.building_daemon();
    w.wait();
    only_engine(&w.only());
    assert_eq!(engine_files(&w).len(), 2);
    assert_eq!(w.ctl(&["verify"]).code, 0);
    assert_eq!(fs::read_dir(w.data().join("scratch")).unwrap().count(), 0);
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_worker_that_keeps_crashing_fails_the_job_until_it_is_retried() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let daemon = w.building_daemon();
    let mut watching = w.watch();
    for _ in 0..3 {
        watching
            .until("a worker", |seen| seen.building().is_some_and(|build| build.phase == "parse"));
        daemon.workers().into_iter().for_each(Daemon::crash);
        watching.until("it has ended", |seen| {
            seen.building().is_none_or(|build| build.phase == "graph")
        });
    }
    let failed = w.only();
    assert_eq!(failed.state, State::Failed);
    assert!(failed.reason.unwrap().contains("signal"));
    assert_eq!(w.ctl(&["wait", "a"]).code, 1);
    assert_eq!(w.ctl(&["retry", "a"]).code, 0);
    w.wait();
    only_engine(&w.only());
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_checkpoint_may_be_renamed_while_its_engine_is_built() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let daemon = w.building_daemon();
    let mut watching = w.watch();
    let at_work = |phase: &'static str| {
        move |seen: &Watching| seen.building().is_some_and(|build| build.phase == phase)
    };
    watching.until("parse", at_work("parse"));
    let workers = daemon.workers();
    let renamed = w.model("b.safetensors");
    fs::rename(&path, &renamed).unwrap();
    watching.until("it is taken in", |seen| seen.at(&renamed).is_some());
    watching.until("write", at_work("write"));
    assert_eq!(daemon.workers(), workers, "it goes on undisturbed");
    w.wait();
    only_engine(&w.only());
}
