//! What the index says of engines that several checkpoints share.

use std::fs;

use checkpoint::Id;
use config::{BuildWhen, Config, EngineKind, Rule};
use protocol::{Request, State};
use serde_json::{Value, json};

use crate::{samples, scenarios::stage::Stage};

fn index(stage: &Stage) -> Value {
    serde_json::from_slice(&fs::read(stage.data.path().join("index.json")).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_wrong_with_some_weights_is_refused_for_these_only() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = Stage::with(0, BuildWhen::Always, EngineKind::Shared, &names).await;
    stage.end_a_build();
    let engine = stage.owners.library.engines().manifests().keys().next().copied().unwrap();
    let unet = Id::from(blake3::hash(b"a.safetensors"));
    let proofs = stage.data.path().join("proofs");
    fs::create_dir(&proofs).unwrap();
    // One was wrong with weights that are in no file.
    for (name, whose) in [("a", unet), ("memory", samples::signature())] {
        let proof = json!({ "version": 1, "engine": engine, "unet": whose,
            "relative_error": 0.3, "bound": 0.02 });
        fs::write(proofs.join(format!("{engine}-{name}.json")), proof.to_string()).unwrap();
    }
    stage.owners.library.record_findings();
    stage.refresh();

    let index = index(&stage);
    let state = &index["signatures"][0]["engines"][0]["state"];
    assert_eq!(state, "unproven", "others may use it");
    for checkpoint in index["checkpoints"].as_array().unwrap() {
        let refused = checkpoint["refused"].as_array().unwrap();
        let is_wrong = checkpoint["unet"] == unet.to_string();
        assert_eq!(refused.iter().any(|id| *id == engine.to_string()), is_wrong, "{checkpoint}");
    }
    let states = stage.list().values().map(|entry| (&entry.locations[0], entry.state));
    let mut states: Vec<_> = states.collect();
    states.sort_unstable();
    assert_eq!(
        states.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [State::Failed, State::Ready]
    );
}

#[tokio::test(start_paused = true)]
async fn desired_engines_come_first_and_fixed_ones_before_open_ones() {
    let config = Config {
        models_dirs: vec!["/m".into()],
        build: BuildWhen::Always,
        fixed_engines: 1,
        rules: vec![Rule { presets: vec!["default".to_owned()], ..Rule::default() }],
        ..Config::default()
    };
    let mut stage = Stage::of(0, config.clone(), &["a.safetensors"], |_| ()).await;
    while !stage.owners.jobs.is_idle() {
        stage.end_a_build();
    }
    let presets = |stage: &Stage| {
        let index = index(stage);
        let engines = index["signatures"][0]["engines"].as_array().unwrap().iter();
        engines.map(|engine| engine["profiles"][0]["preset"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(presets(&stage), ["fixed", "default"]);
    let rules = vec![Rule { presets: vec!["dynamic".to_owned()], ..Rule::default() }];
    let other = Config { rules, fixed_engines: 0, data_dir: stage.data.path().into(), ..config };
    stage.owners.settings = Some(Box::new(move || Ok(other.clone())));
    stage.ask(Request::Reload);
    assert_eq!(presets(&stage), ["fixed", "default"], "they stand in");
    stage.end_a_build();
    assert_eq!(presets(&stage), ["dynamic"]);
}
