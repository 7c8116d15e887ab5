use std::path::Path;

use checkpoint::{Id, Kind};
use config::Config;
use serde_json::{Value, json};
use unet::Precision;

use super::{Checkpoint, Index, IndexedEngine};
use crate::{
    build::{Built, EngineSpec, FLAVOUR, Manifest, Profile, Proof, Weights, family},
    samples,
};

fn id(name: &str) -> Id {
    Id::from(blake3::hash(name.as_bytes()))
}

/// An engine of the default presets.
fn engine(unet: Id) -> Manifest {
    let architecture = samples::sd1();
    let presets = Config::default().presets_for("sd1", family(Kind::Sd1), Path::new("/m/a"));
    let spec = EngineSpec {
        weights: Weights::Baked(unet),
        architecture: architecture.clone(),
        recipe: 1,
        flavour: FLAVOUR.to_owned(),
        version: "1.7.1.116".to_owned(),
        compute_capabilities: vec!["8.9".parse().unwrap()],
        precision: Precision::Fp16,
        profiles: presets.iter().map(|preset| Profile::new(preset, &architecture)).collect(),
    };
    let built = Built { bytes: 1, blake3: id("plan"), peak_bytes: 1 };
    let names = presets.iter().map(|preset| preset.name.clone()).collect();
    Manifest::new(spec, names, id("weights"), built, 0, 1.0)
}

fn index(paths: &[&str], engines: &[&Manifest], proof: Option<&Proof>) -> Value {
    let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
    let engines = engines.iter().map(|manifest| IndexedEngine {
        manifest,
        plan: "/data/e.engine".into(),
        constants: "/data/e.constants".into(),
        proof,
    });
    let ids = (id("weights"), id("unet"));
    let checkpoint = Checkpoint::new(ids, Kind::Sd1, &paths, engines);
    serde_json::to_value(Index::new("/run/sdtrtd.sock".into(), [checkpoint])).unwrap()
}

#[test]
fn the_schema_is_what_the_web_ui_reads() {
    let manifest = engine(id("unet"));
    let found = index(&["/m/a.safetensors", "/m/b.ckpt"], &[&manifest], None);
    let expected = json!({
        "version": 1,
        "socket": "/run/sdtrtd.sock",
        "checkpoints": [{
            "id": id("weights").to_string(),
            "unet": id("unet").to_string(),
            "architecture": "sd1",
            "locations": ["/m/a.safetensors", "/m/b.ckpt"],
            "engines": [{
                "id": manifest.key.to_string(),
                "kind": "baked",
                "plan": "/data/e.engine",
                "tensorrt": "1.7.1.116",
                "compute_capabilities": ["8.9"],
                "precision": "fp16",
                "state": "unproven",
                "relative_error": null,
                "profiles": [
                    {"preset": "default", "width": [512, 512, 768], "height": [512, 512, 768],
                     "batch": [1, 2, 8], "tokens": [77, 77, 154]},
                    {"preset": "dynamic", "width": [512, 1024, 2048], "height": [512, 1024, 2048],
                     "batch": [1, 2, 8], "tokens": [77, 77, 154]},
                ],
            }],
        }],
    });
    assert_eq!(found, expected, "{found:#}");
}

#[test]
fn a_checkpoint_without_an_engine_is_left_out() {
    assert_eq!(index(&["/m/a.safetensors"], &[], None)["checkpoints"], json!([]));
}

#[test]
fn of_a_shared_engine_the_constants_are_told_too() {
    let mut shared = engine(id("unet"));
    shared.spec.weights = Weights::Shared(id("signature"));
    let found = &index(&["/m/a.safetensors"], &[&shared], None)["checkpoints"][0]["engines"][0];
    assert_eq!(found["kind"], "shared");
    assert_eq!(found["constants"], "/data/e.constants");
}

#[test]
fn what_was_found_of_an_engine_is_told() {
    let manifest = engine(id("unet"));
    for (relative_error, state) in [(Some(0.002), "ready"), (Some(0.3), "failed"), (None, "failed")]
    {
        let proof = Proof { relative_error, bound: 0.02 };
        let found = &index(&["/m/a.safetensors"], &[&manifest], Some(&proof));
        let engine = &found["checkpoints"][0]["engines"][0];
        assert_eq!(engine["state"], state);
        assert_eq!(engine["relative_error"].as_f64(), relative_error);
    }
}
