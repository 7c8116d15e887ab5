//! The index, byte for byte. The tests of the web UI's extension read the same file.

use std::{fs, path::Path};

use checkpoint::{Architecture, Heads, Id, Kind};
use config::{ComputeCapability, Prefer};
use protocol::Shape;
use unet::Precision;

use super::{Checkpoint, Ids, Index, IndexFile, IndexedEngine};
use engine::{
    Accumulation, Built, EngineSpec, Findings, Inside, Limit, Manifest, Profile, Proof, Shapes,
    Speed, Validation, Weights,
};

const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pinned/index.json"));

fn id(byte: u8) -> Id {
    Id::from([byte; 32])
}

fn architecture() -> Architecture {
    Architecture {
        kind: Kind::Sd1,
        in_channels: 4,
        context_width: 768,
        y_width: None,
        heads: Heads::Count(8),
    }
}

fn manifest(weights: Weights, presets: &[&str], profiles: Vec<Profile>) -> Manifest {
    let spec = EngineSpec {
        weights,
        architecture: architecture(),
        recipe: 3,
        flavour: "tensorrt-rtx".into(),
        version: "1.7.1.116".into(),
        compute_capabilities: vec![
            ComputeCapability { major: 8, minor: 9 },
            ComputeCapability { major: 12, minor: 0 },
        ],
        precision: Precision::Fp16,
        profiles,
        controlnet: false,
    };
    let built = Built {
        bytes: 4,
        blake3: id(7),
        peak_bytes: 900_000_000,
        binding: None,
        accumulation: Accumulation::Fp32,
        weights: matches!(weights, Weights::Baked(_))
            .then_some(Inside { unet: id(2), sample: id(8) }),
    };
    let presets = presets.iter().copied().map(str::to_owned).collect();
    Manifest::new(spec, presets, id(1), built, 1_795_000_000, 41.5)
}

fn validation(gpu: &str, limit: Option<Limit>) -> Validation {
    let speed =
        Speed { profile: 0, batch: 2, width: 512, height: 768, tokens: 150, milliseconds: 14.35 };
    Validation {
        gpu: gpu.into(),
        driver: "580.95.05".into(),
        unet: id(2),
        validated_at: 1_795_000_100,
        borrowed: false,
        findings: Findings {
            proof: Ok(Proof { relative_error: Some(0.0102), bound: 0.02 }),
            proof_seconds: 6.25,
            speeds: vec![speed],
            limit,
            calls: 12,
            call_seconds: 0.5,
        },
    }
}

/// An open engine that was validated, a fixed one that could not be compared, and a baked one that is wrong.
fn engines() -> [Manifest; 3] {
    let inputs = [
        ("encoder_hidden_states", [vec![1, 77, 768], vec![2, 77, 768], vec![8, 154, 768]]),
        ("sample", [vec![1, 4, 64, 64], vec![2, 4, 96, 64], vec![8, 4, 128, 96]]),
        ("timesteps", [vec![1], vec![2], vec![8]]),
    ];
    let shapes = inputs.map(|(input, [min, opt, max])| (input.into(), Shapes { min, opt, max }));
    let open = Profile { inputs: shapes.into() };
    let shape = Shape { width: 512, height: 768, batch: 2 };
    let fixed = Profile::fixed(&shape, &architecture());
    let shared = Weights::Shared(id(3));
    let limit = Limit { pixels: 1_048_576, input: "a constant latent".into() };
    let validations = vec![validation("NVIDIA H200", Some(limit)), validation("NVIDIA L4", None)];
    let open_one = manifest(shared, &["default"], vec![open.clone()]);
    [
        Manifest { validations, ..open_one },
        manifest(shared, &[], vec![fixed]),
        manifest(Weights::Baked(id(2)), &["default", "dynamic"], vec![open.clone(), open]),
    ]
}

#[test]
fn the_index_is_written_as_before() {
    let [open, fixed, baked] = engines();
    let found = |error| Proof { relative_error: error, bound: 0.02 };
    let (right, wrong) = (found(Some(0.0102)), found(Some(0.3)));
    let indexed = |manifest, plan: &str, proof| IndexedEngine {
        manifest,
        plan: Path::new("/data/engines").join(plan),
        proof,
    };
    let shared = [indexed(&fixed, "b.engine", None), indexed(&open, "a.engine", Some(&right))];
    let ids = Ids { weights: id(1), unet: id(2), signature: id(3) };
    let paths = ["/m/a.safetensors", "/m/b.ckpt"].map(Path::new);
    let own = [indexed(&baked, "c.engine", Some(&wrong))];
    let checkpoint = Checkpoint::new(ids, Kind::Sd1, &paths, own, vec![open.key]);
    let ids = Ids { weights: id(9), ..ids };
    let bare = Checkpoint::new(ids, Kind::Sd1Inpaint, &[], [], Vec::new());
    let index = Index::new("/run/sdtrtd.sock".into(), Prefer::Fastest, [bare, checkpoint], shared);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.json");
    IndexFile::new(path.clone()).publish(index);
    let found = fs::read_to_string(path).unwrap() + "\n";
    pinned::assert_text("index.json", GOLDEN, &found);
}
