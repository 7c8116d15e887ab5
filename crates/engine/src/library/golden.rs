//! The files beside engines, byte for byte: engines outlive releases.

use std::collections::BTreeMap;

use checkpoint::{Architecture, Heads, Kind};
use config::ComputeCapability;
use unet::{Binding, Bound, Layout, Precision};

use super::*;
use crate::{
    Accumulation, Built, EngineSpec, Findings, Limit, Profile, Proof, Shapes, Source, Speed, Task,
    Weights,
};

/// Each file except the plans, preceded by its name.
const GOLDEN: &str = include_str!("beside.txt");

const PLAN: &str = "plan";

fn id(byte: u8) -> Id {
    Id::from([byte; 32])
}

fn spec(weights: Weights) -> EngineSpec {
    let sample =
        Shapes { min: vec![1, 4, 64, 64], opt: vec![2, 4, 64, 64], max: vec![8, 4, 96, 96] };
    EngineSpec {
        weights,
        architecture: Architecture {
            kind: Kind::Sd1,
            in_channels: 4,
            context_width: 768,
            y_width: None,
            heads: Heads::Count(8),
        },
        recipe: 3,
        flavour: "tensorrt-rtx".into(),
        version: "1.7.1.116".into(),
        compute_capabilities: vec![
            ComputeCapability { major: 8, minor: 9 },
            ComputeCapability { major: 12, minor: 0 },
        ],
        precision: Precision::Fp16,
        profiles: vec![Profile { inputs: [("sample".into(), sample)].into() }],
        controlnet: false,
    }
}

/// An engine's manifest and usage with every field set.
fn shared() -> (Manifest, Usage) {
    let bound = |name: &str, parts: &[&str], layout| Bound {
        name: name.into(),
        shape: vec![960, 320],
        parts: parts.iter().copied().map(str::to_owned).collect(),
        layout,
    };
    let built = Built {
        bytes: PLAN.len() as u64,
        blake3: Id::from(blake3::hash(PLAN.as_bytes())),
        peak_bytes: 900_000_000,
        binding: Some(Binding {
            version: 1,
            inputs: vec![
                bound("qkv", &["to_q.weight", "to_k.weight", "to_v.weight"], Layout::Plain),
                bound("out.2.weight", &["out.2.weight"], Layout::Ohwi),
            ],
        }),
        accumulation: Accumulation::Fp32,
        weights: None,
    };
    let speed =
        Speed { profile: 0, batch: 2, width: 512, height: 768, tokens: 75, milliseconds: 14.35 };
    let validation = |driver: &str, proof| Validation {
        gpu: "NVIDIA H200".into(),
        driver: driver.into(),
        unet: id(2),
        validated_at: 1_795_000_100,
        borrowed: false,
        findings: Findings {
            proof,
            proof_seconds: 6.25,
            speeds: vec![speed],
            limit: Some(Limit { pixels: 1_048_576, input: "a constant latent".into() }),
            calls: 12,
            call_seconds: 0.5,
        },
    };
    let spec = spec(Weights::Shared(id(3)));
    let manifest = Manifest {
        validations: vec![
            validation("580.65.06", Ok(Proof { relative_error: Some(0.0102), bound: 0.02 })),
            validation("580.95.05", Ok(Proof { relative_error: None, bound: 0.02 })),
            validation("590.1", Err("ONNX Runtime is not there".into())),
        ],
        ..Manifest::new(spec, vec!["default".into()], id(1), built, 1_795_000_000, 41.5)
    };
    (
        manifest,
        Usage {
            last_used: 1_795_000_200,
            pinned: true,
            orphaned_since: Some(7),
            orphaned_lived_s: Some(3),
        },
    )
}

/// The same without the optional fields.
fn baked() -> (Manifest, Usage) {
    let (shared, _) = shared();
    let built = Built {
        bytes: shared.bytes,
        blake3: shared.blake3,
        peak_bytes: 6_400_000_000,
        binding: None,
        accumulation: Accumulation::Unknown,
        weights: None,
    };
    let spec = spec(Weights::Baked(id(2)));
    let manifest = Manifest::new(spec, Vec::new(), id(1), built, 1_795_000_000, 0.1);
    (
        manifest,
        Usage {
            last_used: 1_795_000_200,
            pinned: false,
            orphaned_since: None,
            orphaned_lived_s: None,
        },
    )
}

fn publish(library: &mut Library, manifest: &Manifest) {
    let scratch = library.scratch().unwrap();
    let job = Job {
        task: Task::Build,
        spec: manifest.spec.clone(),
        source: Source::Signature { parameters: Vec::new() },
        libraries: None,
        folder: scratch.path().to_owned(),
        gpu: None,
    };
    fs::write(job.plan(), PLAN).unwrap();
    library.publish(&job, manifest.clone()).unwrap();
}

#[test]
fn files_beside_engines_are_written_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut library = Library::open(dir.path()).unwrap();
    for (manifest, usage) in [shared(), baked()] {
        publish(&mut library, &manifest);
        library.set_usage(&manifest.key, usage).unwrap();
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir.path().join("engines")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        files.insert(name, fs::read_to_string(path).unwrap());
    }
    let (plans, others): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|(name, _)| name.ends_with(".engine"));
    assert_eq!(plans.len(), 2);
    let found: String = others.iter().map(|(name, text)| format!("== {name}\n{text}\n")).collect();
    pinned::assert_text("beside.txt", GOLDEN, &found);
    pinned::assert_variants::<Weights>(GOLDEN, "\"?\"");
    pinned::assert_variants::<Layout>(GOLDEN, "\"layout\": \"?\"");
    pinned::assert_variants::<Accumulation>(GOLDEN, "\"accumulation\": \"?\"");
}

#[test]
fn files_beside_engines_of_earlier_releases_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let engines = dir.path().join("engines");
    fs::create_dir_all(&engines).unwrap();
    for file in GOLDEN.split("== ").skip(1) {
        let (name, text) = file.split_once('\n').unwrap();
        fs::write(engines.join(name), text).unwrap();
        fs::write(engines.join(name).with_extension("engine"), PLAN).unwrap();
    }
    let library = Library::open(dir.path()).unwrap();
    for (manifest, usage) in [shared(), baked()] {
        assert_eq!(library.manifests().get(&manifest.key), Some(&manifest));
        assert_eq!(library.usage(&manifest.key), Some(&usage));
    }
}
