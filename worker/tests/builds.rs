//! What the worker builds with the real TensorRT-RTX, without a GPU.
#![allow(clippy::unwrap_used)]

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::fs::FileExt,
    process::{Command, Stdio},
};

use checkpoint::{Architecture, Checkpoint, Dtype, Stamp, Tensor};
use engine::{
    Accumulation, Built, EngineSpec, FLAVOUR, Job, Parameter, Profile, Report, Source, Task,
    Weights,
};
use goldens::{Manifest, full_size_sd15};
use half::bf16;
use protocol::Shape;
use unet::Precision;

/// A manifest's tensors, without a file.
fn tensors(manifest: &Manifest) -> Vec<Tensor> {
    let tensor = |spec: &goldens::TensorSpec| {
        let shape = spec.1.iter().map(|size| *size as u64).collect();
        Tensor { name: spec.0.clone(), dtype: Dtype::F16, shape, offset: 0, bytes: 0 }
    };
    manifest.tensors.iter().map(tensor).collect()
}

/// The specification of an engine for this shape.
fn spec(tensors: &[Tensor], weights: Weights, capabilities: &[&str], shape: &Shape) -> EngineSpec {
    let architecture = Architecture::of(tensors).unwrap();
    EngineSpec {
        weights,
        recipe: unet::RECIPE,
        flavour: FLAVOUR.to_owned(),
        version: runtime().rsplit('/').next().unwrap().to_owned(),
        compute_capabilities: capabilities.iter().map(|text| text.parse().unwrap()).collect(),
        precision: Precision::Fp16,
        profiles: vec![Profile::fixed(shape, &architecture)],
        controlnet: false,
        architecture,
    }
}

fn runtime() -> String {
    env::var("SDTRT_TEST_RUNTIME")
        .unwrap_or_else(|_| panic!("SDTRT_TEST_RUNTIME: cargo xtask test"))
}

/// Runs a worker that builds this engine, and returns its last report.
fn build(spec: EngineSpec, source: Source) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        task: Task::Build,
        spec,
        source,
        libraries: Some(runtime().into()),
        folder: folder.path().to_owned(),
        gpu: None,
    };
    let mut worker = Command::new(env!("CARGO_BIN_EXE_sdtrt-worker"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    writeln!(input, "{}", serde_json::to_string(&job).unwrap()).unwrap();
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines().map(Result::unwrap);
    let last = lines.filter_map(|line| serde_json::from_str::<Report>(&line).ok()).last().unwrap();
    worker.wait().unwrap();
    last
}

/// Builds a shared engine, which needs only names and shapes.
fn build_shared(manifest: &Manifest, capabilities: &[&str], shape: &Shape) -> Report {
    let tensors = tensors(manifest);
    let signature = checkpoint::signature(&Architecture::of(&tensors).unwrap(), &tensors);
    build(spec(&tensors, Weights::Shared(signature), capabilities, shape), signature_of(&tensors))
}

/// What a shared engine is built from.
fn signature_of(tensors: &[Tensor]) -> Source {
    let unet = tensors.iter().filter(|tensor| tensor.name.starts_with(checkpoint::UNET_PREFIX));
    let parameters = unet.map(|t| Parameter { name: t.name.clone(), shape: t.shape.clone() });
    Source::Signature { parameters: parameters.collect() }
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn self_attention_of_a_full_size_unet_accumulates_in_fp32_on_every_gpu() {
    let shape = Shape { width: 512, height: 512, batch: 2 };
    for capabilities in [&["7.5"][..], &["8.0", "8.6", "8.9", "12.0", "12.1"]] {
        let Report::Built(built) = build_shared(&full_size_sd15(0), capabilities, &shape) else {
            panic!("{capabilities:?} is not built")
        };
        let Built { accumulation, binding, peak_bytes, .. } = built;
        assert_eq!(accumulation, Accumulation::Fp32, "{capabilities:?}");
        assert!(binding.is_some_and(|binding| binding.inputs.len() == 596));
        assert!(peak_bytes < 1 << 30, "{peak_bytes} bytes for a network without weights");
    }
}

/// Builds a shared engine that takes what ControlNets add.
#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn an_engine_for_controlnets_is_built_fixed_and_open() {
    let shape = Shape { width: 512, height: 512, batch: 2 };
    let open = |profile: &mut Profile| {
        for (name, shapes) in &mut profile.inputs {
            shapes.min[0] = 1;
            if name == "sample" {
                (shapes.max[2], shapes.max[3]) = (96, 72);
            }
        }
    };
    let full_size = full_size_sd15(0);
    let goldens = ["sd1", "sd2-inpaint", "sdxl"].map(|name| Manifest::load(name).unwrap());
    let manifests = goldens.iter().flat_map(|golden| [(golden, false), (golden, true)]);
    for (manifest, is_open) in std::iter::once((&full_size, false)).chain(manifests) {
        let tensors = tensors(manifest);
        let signature = checkpoint::signature(&Architecture::of(&tensors).unwrap(), &tensors);
        let mut spec = spec(&tensors, Weights::Shared(signature), &["8.9"], &shape);
        spec.controlnet = true;
        if is_open {
            spec.profiles.iter_mut().for_each(open);
        }
        let report = build(spec, signature_of(&tensors));
        let Report::Built(built) = report else { panic!("{}: {report:?}", manifest.name) };
        let is_full_size = manifest.name == full_size.name;
        let expected = if is_full_size { Accumulation::Fp32 } else { built.accumulation };
        assert_eq!(built.accumulation, expected);
        assert!(built.binding.is_some(), "{}", manifest.name);
    }
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn a_bf16_checkpoint_is_baked_for_turing_unless_a_weight_overflows_fp16() {
    let manifest = Manifest::load("sd2-unclip-h").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    manifest.write_checkpoint(&path).unwrap();
    let opened = Checkpoint::open(&path).unwrap();
    let spec = || {
        let weights = Weights::Baked(Checkpoint::open(&path).unwrap().ids().unwrap().unet);
        spec(&opened.tensors, weights, &["7.5"], &Shape { width: 64, height: 64, batch: 2 })
    };
    let source = || Source::Checkpoint { path: path.clone(), stamp: Stamp::of(&path).unwrap() };
    let report = build(spec(), source());
    assert!(matches!(report, Report::Built(_)), "{report:?}");

    let bias = opened.unet().find(|tensor| tensor.name.ends_with("out.2.bias")).unwrap();
    assert_eq!(bias.dtype, Dtype::Bf16);
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&bf16::from_f32(7e4).to_le_bytes(), bias.offset).unwrap();
    let report = build(spec(), source());
    let Report::Unfit(why) = report else { panic!("{report:?}") };
    assert!(
        why.contains("out.2.bias holds 7") && why.contains("outside the range of fp16"),
        "{why}"
    );
}
