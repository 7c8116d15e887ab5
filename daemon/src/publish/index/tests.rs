use std::path::Path;

use checkpoint::{Id, Kind};
use config::{Config, Prefer};
use engine::{EngineSpec, Manifest, Profile, Proof, Speed, Weights, family};
use protocol::Shape;
use serde_json::{Value, json};

use super::{Checkpoint, Ids, Index, IndexedEngine};
use crate::samples;

fn id(name: &str) -> Id {
    Id::from(blake3::hash(name.as_bytes()))
}

/// An engine for the default presets.
fn engine(weights: Weights) -> Manifest {
    let architecture = samples::sd1();
    let presets = Config::default().presets_for("sd1", family(Kind::Sd1), Path::new("/m/a"));
    let spec = EngineSpec {
        compute_capabilities: vec!["8.9".parse().unwrap()],
        profiles: presets.iter().map(|preset| Profile::new(preset, &architecture)).collect(),
        ..samples::spec(weights)
    };
    let built = samples::built(b"plan");
    let names = presets.iter().map(|preset| preset.name.clone()).collect();
    Manifest::new(spec, names, id("weights"), built, 0, 1.0)
}

fn index(paths: &[&str], engines: &[&Manifest], proof: Option<&Proof>) -> Value {
    let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
    let entry = |manifest: &&'_ Manifest| (*manifest).clone();
    let engines: Vec<Manifest> = engines.iter().map(entry).collect();
    let indexed = |manifest| IndexedEngine { manifest, plan: "/data/e.engine".into(), proof };
    let is_baked = |manifest: &&Manifest| matches!(manifest.spec.weights, Weights::Baked(_));
    let ids = Ids { weights: id("weights"), unet: id("unet"), signature: id("signature") };
    let own = engines.iter().filter(is_baked).map(indexed);
    let refused = vec![id("wrong")];
    let checkpoint = Checkpoint::new(ids, Kind::Sd1, &paths, own, refused);
    let all = engines.iter().map(indexed);
    serde_json::to_value(Index::new("/run/sdtrtd.sock".into(), Prefer::Fastest, [checkpoint], all))
        .unwrap()
}

#[test]
fn the_schema_is_what_the_web_ui_reads() {
    let mut own = engine(Weights::Baked(id("unet")));
    let speed =
        Speed { profile: 0, batch: 2, width: 512, height: 768, tokens: 75, milliseconds: 14.5 };
    for (driver, milliseconds) in [("1", 20.0), ("2", 14.5)] {
        let mut validation = samples::validation("NVIDIA H200", driver, Some(0.001));
        validation.findings.speeds = vec![Speed { milliseconds, ..speed }];
        own.validations.push(validation);
    }
    let mut shared = engine(Weights::Shared(id("signature")));
    shared.presets.clear();
    let shape = Shape { width: 512, height: 768, batch: 2 };
    shared.spec.profiles = vec![Profile::fixed(&shape, &shared.spec.architecture)];
    let found = index(&["/m/a.safetensors", "/m/b.ckpt"], &[&own, &shared], None);
    let engine = |manifest: &Manifest, kind: &str, profiles: Value, speeds: Value| {
        json!({
            "id": manifest.key.to_string(),
            "kind": kind,
            "plan": "/data/e.engine",
            "manifest": "/data/e.json",
            "tensorrt": "1.7.1.116",
            "compute_capabilities": ["8.9"],
            "precision": "fp16",
            "state": "unproven",
            "relative_error": null,
            "profiles": profiles,
            "limits": [],
            "speeds": speeds,
            "sample": null,
        })
    };
    let open = json!([
        {"preset": "default", "width": [512, 512, 768], "height": [512, 512, 768],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]},
        {"preset": "dynamic", "width": [512, 1024, 2048], "height": [512, 1024, 2048],
         "batch": [1, 2, 8], "tokens": [77, 77, 154]},
    ]);
    let fixed = json!([
        {"preset": "fixed", "width": [512, 512, 512], "height": [768, 768, 768],
         "batch": [2, 2, 2], "tokens": [77, 77, 308]},
    ]);
    let speeds = json!([{"gpu": "NVIDIA H200", "width": 512, "height": 768, "batch": 2,
        "tokens": 77, "milliseconds": 14.5}]);
    let expected = json!({
        "version": 2,
        "socket": "/run/sdtrtd.sock",
        "bound": 0.02,
        "prefer": "fastest",
        "signatures": [{
            "id": id("signature").to_string(),
            "architecture": "sd1",
            "engines": [engine(&shared, "shared", fixed, json!([]))],
        }],
        "checkpoints": [{
            "id": id("weights").to_string(),
            "unet": id("unet").to_string(),
            "signature": id("signature").to_string(),
            "architecture": "sd1",
            "locations": ["/m/a.safetensors", "/m/b.ckpt"],
            "engines": [engine(&own, "baked", open, speeds)],
            "refused": [id("wrong").to_string()],
        }],
    });
    assert_eq!(found, expected, "{found:#}");
}

#[test]
fn engines_for_controlnets_are_apart_from_those_that_a_reader_takes_for_any_call() {
    let plain = engine(Weights::Shared(id("signature")));
    let mut controlled = plain.clone();
    controlled.spec.controlnet = true;
    controlled.key = controlled.spec.key();
    let keys = |engines: &Value| -> Vec<Value> {
        let engines = engines.as_array().into_iter().flatten();
        engines.map(|engine| engine["id"].clone()).collect()
    };
    let expected = |engine: &Manifest, is_there: bool| -> Vec<Value> {
        is_there.then(|| json!(engine.key.to_string())).into_iter().collect()
    };
    for (engines, has_plain, has_controlled) in [
        (&[&plain, &controlled][..], true, true),
        (&[&controlled, &plain], true, true),
        (&[&plain], true, false),
        (&[&controlled], false, true),
    ] {
        let found = index(&["/m/a.safetensors"], engines, None);
        let signature = &found["signatures"][0];
        assert_eq!(keys(&signature["engines"]), expected(&plain, has_plain));
        assert_eq!(keys(&signature["controlnet"]), expected(&controlled, has_controlled));
        assert_eq!(signature.get("controlnet").is_some(), has_controlled, "left out if empty");
    }
}

#[test]
fn a_checkpoint_without_a_baked_engine_is_listed_too() {
    let found = index(&["/m/a.safetensors"], &[], None);
    assert_eq!(found["checkpoints"][0]["engines"], json!([]));
    assert_eq!(found["signatures"], json!([]));
}

#[test]
fn an_engines_findings_are_in_the_index() {
    let manifest = engine(Weights::Baked(id("unet")));
    for (relative_error, state) in [(Some(0.002), "ready"), (Some(0.3), "failed"), (None, "failed")]
    {
        let proof = Proof { relative_error, bound: 0.02 };
        let found = &index(&["/m/a.safetensors"], &[&manifest], Some(&proof));
        let engine = &found["checkpoints"][0]["engines"][0];
        assert_eq!(engine["state"], state);
        assert_eq!(engine["relative_error"].as_f64(), relative_error);
    }
}
