//! The messages between daemon and worker, byte for byte.

use checkpoint::{Architecture, Heads, Kind};
use config::ComputeCapability;
use unet::{Bound, Layout, Precision};

use super::*;
use crate::{Limit, Profile, Proof, Shapes, Speed, Weights};

const JOBS: &str = include_str!("jobs.jsonl");
const REPORTS: &str = include_str!("reports.jsonl");

const PHASES: [Phase; 8] = [
    Phase::Graph,
    Phase::Parse,
    Phase::Build,
    Phase::Write,
    Phase::Publish,
    Phase::Load,
    Phase::Prove,
    Phase::Warm,
];

fn id(byte: u8) -> Id {
    Id::from([byte; 32])
}

fn spec() -> EngineSpec {
    let sample =
        Shapes { min: vec![1, 4, 64, 64], opt: vec![2, 4, 64, 64], max: vec![8, 4, 96, 96] };
    EngineSpec {
        weights: Weights::Shared(id(3)),
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
        compute_capabilities: vec![ComputeCapability { major: 8, minor: 9 }],
        precision: Precision::Fp16,
        profiles: vec![Profile { inputs: [("sample".into(), sample)].into() }],
        controlnet: false,
    }
}

fn jobs() -> [Job; 4] {
    let checkpoint = || Source::Checkpoint {
        path: "/m/a.safetensors".into(),
        stamp: Stamp { device: 66_305, inode: 12, size: 4 << 30, mtime_ns: -1, ..Stamp::default() },
    };
    let published = Published {
        plan: "/data/engines/0.engine".into(),
        kernels: "/data/kernels/a-1-2/0.kernels".into(),
        onnx_runtime: Some("/lib/libonnxruntime.so".into()),
    };
    let build = Job {
        task: Task::Build,
        spec: spec(),
        source: Source::Signature {
            parameters: vec![Parameter {
                name: "model.diffusion_model.out.2.weight".into(),
                shape: vec![4, 320, 3, 3],
            }],
        },
        libraries: None,
        folder: "/data/scratch/a".into(),
        gpu: None,
    };
    let validate = Job {
        task: Task::Validate(published.clone()),
        spec: EngineSpec { weights: Weights::Baked(id(2)), ..spec() },
        source: checkpoint(),
        libraries: Some("/lib".into()),
        gpu: Some("GPU-0".into()),
        ..build.clone()
    };
    let without_reference = Job {
        task: Task::Validate(Published { onnx_runtime: None, ..published }),
        ..validate.clone()
    };
    let materialize =
        Job { task: Task::Materialize { output: "/out/a.engine".into() }, ..validate.clone() };
    [build, validate, without_reference, materialize]
}

fn reports() -> Vec<Report> {
    let bound = |name: &str, parts: &[&str], layout| Bound {
        name: name.into(),
        shape: vec![960, 320],
        parts: parts.iter().copied().map(str::to_owned).collect(),
        layout,
    };
    let built = Built {
        bytes: 26_214_400,
        blake3: id(7),
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
    let weights = Some(Inside { unet: id(2), sample: id(8) });
    let baked =
        Built { binding: None, accumulation: Accumulation::Unknown, weights, ..built.clone() };
    let speed =
        Speed { profile: 0, batch: 2, width: 512, height: 768, tokens: 75, milliseconds: 14.35 };
    let found = Findings {
        proof: Ok(Proof { relative_error: Some(0.0102), bound: 0.02 }),
        proof_seconds: 6.25,
        speeds: vec![speed],
        limit: Some(Limit { pixels: 1_048_576, input: "a constant latent".into() }),
        calls: 12,
        call_seconds: 0.5,
    };
    let no_number =
        Findings { proof: Ok(Proof { relative_error: None, bound: 0.02 }), ..found.clone() };
    let not_compared = Findings {
        proof: Err("ONNX Runtime is not there".into()),
        speeds: Vec::new(),
        limit: None,
        ..found.clone()
    };
    let under_way = PHASES.map(|phase| Report::Progress(Progress { phase, percent: 42 }));
    let ends = [
        Report::Built(built),
        Report::Built(baked),
        Report::Validated(found),
        Report::Validated(no_number),
        Report::Validated(not_compared),
        Report::Materialized(26_214_400),
        Report::Failed("TensorRT refused the graph".into()),
        Report::Unfit("its weights pass fp16's range".into()),
        Report::DiskFull("cannot write the plan".into()),
        Report::Trouble("the folder is gone".into()),
        Report::Held("the GPU can't be used".into()),
        Report::Changed("it has changed".into()),
        Report::OutOfMemory { needed: Some(5_300_000_000), free: 3_000_000_000 },
        Report::OutOfMemory { needed: None, free: 0 },
    ];
    under_way.into_iter().chain(ends).collect()
}

#[test]
fn jobs_are_encoded_as_before() {
    pinned::assert_json_lines("jobs.jsonl", JOBS, &jobs());
    pinned::assert_variants::<Task>(JOBS, "\"?\"");
    pinned::assert_variants::<Source>(JOBS, "{\"?\":");
}

#[test]
fn reports_are_encoded_as_before() {
    pinned::assert_json_lines("reports.jsonl", REPORTS, &reports());
    pinned::assert_variants::<Report>(REPORTS, "{\"?\":");
    pinned::assert_variants::<Phase>(REPORTS, "\"phase\":\"?\"");
}
