//! Engines for the shapes that front ends request.

use std::fs;

use config::{BuildWhen, Config, EngineKind};
use protocol::{Request, Shape, State};

use crate::{samples, scenarios::stage::Stage};

fn shape(width: u64) -> Shape {
    Shape { width, height: 512, batch: 2 }
}

/// A machine without a GPU, where this many shapes get an engine.
async fn stage(engines: EngineKind, fixed_engines: usize, names: &[&str]) -> Stage {
    let config = Config {
        models_dirs: vec!["/m".into()],
        engines: Some(engines),
        build: BuildWhen::Always,
        fixed_engines,
        ..Config::default()
    };
    Stage::of(0, config, names, |_| ()).await
}

/// What the only checkpoint waits for.
fn coming(stage: &Stage) -> Vec<String> {
    let entry = stage.list().values().next().unwrap();
    entry.coming.iter().map(protocol::Coming::label).collect()
}

/// The engines that are built, in order.
fn built(stage: &mut Stage) -> Vec<String> {
    let mut built = Vec::new();
    while !stage.owners.jobs.is_idle() {
        built.push(stage.owners.status().building[0].preset.clone());
        stage.end_a_build();
    }
    built
}

fn ask(stage: &mut Stage, shapes: &[Shape]) {
    let signature = samples::signature();
    stage.ask(Request::Shapes { signature, shapes: shapes.to_vec() });
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_is_ready_with_its_presets_and_its_shapes_follow() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = stage(EngineKind::Shared, 3, &names).await;
    let usual = ["512x512 batch 2", "512x768 batch 2", "768x512 batch 2"];
    assert_eq!(coming(&stage), [&["default", "dynamic"][..], &usual].concat());
    stage.end_a_build();
    assert_eq!(stage.list().values().next().unwrap().state, State::Building);
    stage.end_a_build();
    assert_eq!(stage.list().values().next().unwrap().state, State::Ready);
    assert_eq!(
        (coming(&stage), built(&mut stage)),
        (usual.map(str::to_owned).into(), usual.map(str::to_owned).into())
    );
    assert!(coming(&stage).is_empty());
    assert_eq!(stage.workers().0, 5, "once for both checkpoints");
}

#[tokio::test(start_paused = true)]
async fn requested_shapes_replace_others() {
    let mut stage = stage(EngineKind::Shared, 3, &["a.safetensors"]).await;
    built(&mut stage);
    ask(&mut stage, &[shape(640)]);
    assert!(stage.owners.jobs.is_idle(), "it costs nothing at once");
    assert!(stage.owners.timers.is_stale());
    stage.refresh();
    assert_eq!(built(&mut stage), ["640x512 batch 2"]);
    let fixed = |stage: &Stage| {
        let manifests = stage.owners.library.engines().manifests().values();
        let mut shapes: Vec<_> = manifests.filter_map(|manifest| manifest.shape()).collect();
        shapes.sort_unstable();
        shapes.iter().map(Shape::to_string).collect::<Vec<_>>()
    };
    assert_eq!(fixed(&stage), ["512x512 batch 2", "512x768 batch 2", "640x512 batch 2"]);

    let pinned = stage.owners.library.engines().manifests().values();
    let pinned = pinned.filter(|manifest| manifest.shape() == Some(shape(512)));
    let pinned = pinned.map(|manifest| manifest.key.to_string()).next().unwrap();
    stage.ask(Request::Pin { reference: pinned });
    ask(&mut stage, &[shape(704), shape(768), shape(640)]);
    stage.refresh();
    built(&mut stage);
    let kept = ["512x512 batch 2", "640x512 batch 2", "704x512 batch 2", "768x512 batch 2"];
    assert_eq!(fixed(&stage), kept, "a pinned one stays");
    let before = stage.workers();
    ask(&mut stage, &[shape(768), shape(640)]);
    stage.refresh();
    assert_eq!(stage.workers(), before);
}

#[tokio::test(start_paused = true)]
async fn invalid_shapes_are_refused_and_not_recorded() {
    let mut stage = stage(EngineKind::Shared, 3, &["a.safetensors"]).await;
    let signature = samples::signature();
    let refused = stage.owners.record_shapes_asked(signature, &[shape(512), shape(500)]);
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("width 500"), "{refused}");
    let no_id = r#"{"request":"shapes","signature":"ab","shapes":[]}"#;
    let refused = serde_json::from_str::<Request>(no_id).unwrap_err();
    assert!(refused.to_string().contains("64 lower-case hex digits"), "{refused}");
    assert!(stage.owners.intent.shapes().is_empty());
    let request = Request::Shapes { signature, shapes: vec![shape(512)] };
    assert!(request.only_looks(), "for whoever may ask");
}

#[tokio::test(start_paused = true)]
async fn with_baked_engines_there_are_shared_ones_for_shapes() {
    let mut stage = stage(EngineKind::Baked, 1, &["a.safetensors"]).await;
    // One in the CPU slot of a machine without a GPU, and one aside.
    assert_eq!(stage.owners.jobs.work().count(), 2);
    let mut both = built(&mut stage);
    both.sort_unstable();
    assert_eq!(both, ["512x512 batch 2", "default, dynamic"]);
}

#[tokio::test(start_paused = true)]
async fn shapes_left_while_the_daemon_was_not_running_are_recorded() {
    let mut stage = stage(EngineKind::Shared, 1, &["a.safetensors"]).await;
    let folder = stage.data.path().join("shapes");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("0.json");
    let signature = samples::signature();
    let text = serde_json::json!({ "version": 1, "signature": signature, "shapes": [shape(640)] });
    fs::write(&file, text.to_string()).unwrap();
    stage.owners.record_housekeeping();
    stage.refresh();
    assert!(!file.exists());
    assert_eq!(coming(&stage).last().unwrap(), "640x512 batch 2");
}
