//! Golden engine keys. A change to what a key is a hash of makes every user rebuild every engine, so it must
//! be deliberate.

use checkpoint::{Architecture, Dtype, Heads, Id, Ids, Kind, Tensor, UNET_PREFIX, signature};
use serde::{Deserialize, Serialize};

use super::*;
use crate::samples;

const GOLDEN: &str = include_str!("keys.jsonl");

/// All built-in presets.
const PRESETS: &str = "[[rules]]
presets = [
    'default', 'dynamic', '512x512 | Batch Size 1 (Static)', '768x768 | Batch Size 1 (Static)',
    '1024x1024 | Batch Size 1 (Static)', '256x256 - 512x512 | Batch Size 1-4',
    '512x512 - 768x768 | Batch Size 1-4', '768x768 - 1024x1024 | Batch Size 1-4',
]";

/// With an engine for ControlNets.
const CONTROLLED: &str = "
[[presets]]
name = 'small'
width = 512
height = 512
batch = { min = 1, opt = 1, max = 2 }
tokens = 75
controlnet = true
[[rules]]
presets = ['small']";

const WITH_WEIGHTS: &str = "engines = 'baked'";

/// A line of the golden file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Keyed {
    engine: String,
    key: Id,
    spec: EngineSpec,
}

impl Keyed {
    fn new(engine: String, spec: EngineSpec) -> Self {
        // A new recipe gives new keys, which is no reason to change these.
        let spec = EngineSpec { recipe: 3, ..spec };
        Self { engine, key: spec.key(), spec }
    }
}

fn target(toml: &str) -> Target {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sdtrtd.toml");
    std::fs::write(&path, format!("models_dirs = ['/m']\n{toml}")).unwrap();
    let runtime = Runtime { libraries: None, version: "1.7.1.116".into() };
    Target::new(runtime, &config::load(Some(&path), []).unwrap().config, &[])
}

/// A checkpoint with the shapes of a real one.
fn full_size(checkpoint: &goldens::Manifest, architecture: Architecture) -> Identity {
    let tensor = |goldens::TensorSpec(name, shape): &goldens::TensorSpec| Tensor {
        name: name.clone(),
        dtype: Dtype::F16,
        shape: shape.iter().map(|size| *size as u64).collect(),
        offset: 0,
        bytes: 0,
    };
    let tensors: Vec<Tensor> = checkpoint.tensors.iter().map(tensor).collect();
    let id = |name: &str| Id::from(blake3::hash(name.as_bytes()));
    Identity {
        ids: Ids { weights: id("weights"), unet: id("unet") },
        signature: signature(&architecture, &tensors),
        architecture,
        unet_parameters: checkpoint.parameters(UNET_PREFIX),
        remarks: Vec::new(),
    }
}

fn sd15() -> Identity {
    full_size(&goldens::full_size_sd15(0), samples::sd1())
}

fn sdxl() -> Identity {
    let architecture = Architecture {
        kind: Kind::Sdxl,
        in_channels: 4,
        context_width: 2048,
        y_width: Some(2816),
        heads: Heads::Width(64),
    };
    full_size(&goldens::full_size_sdxl(0), architecture)
}

/// A shared engine for each preset, one for a shape, and a baked one for all default presets.
fn engines(name: &str, identity: &Identity, shape: Shape) -> Vec<Keyed> {
    let label = |wanted: &Wanted| {
        wanted.shape.map_or_else(|| wanted.presets.join(", "), |shape| shape.to_string())
    };
    let keyed = |wanted: Wanted, kind: &str| {
        Keyed::new(format!("{name}, {kind}, {}", label(&wanted)), wanted.spec)
    };
    let paths = [Path::new("/m/a")];
    let shared = target(PRESETS).engines(identity, &paths, &[shape]);
    let baked = target(WITH_WEIGHTS).engines(identity, &paths, &[]);
    let shared = shared.into_iter().map(|wanted| keyed(wanted, "shared"));
    shared.chain(baked.into_iter().map(|wanted| keyed(wanted, "baked"))).collect()
}

#[test]
fn keys_are_as_before() {
    let mut all = engines("SD 1.5", &sd15(), Shape { width: 512, height: 768, batch: 2 });
    all.extend(engines("SDXL", &sdxl(), Shape { width: 832, height: 1216, batch: 2 }));
    let of_kind = |kind: Kind| {
        let mut identity = sd15();
        identity.architecture.kind = kind;
        let engine = target("").engines(&identity, &[Path::new("/m/a")], &[]).swap_remove(0);
        Keyed::new(format!("as if it were {kind}"), engine.spec)
    };
    all.extend(Kind::ALL.iter().copied().map(of_kind));
    let other = EngineSpec {
        compute_capabilities: Vec::new(),
        precision: Precision::Fp32,
        profiles: Vec::new(),
        ..all[0].spec.clone()
    };
    all.push(Keyed::new("of the GPU here, in fp32, without profiles".to_owned(), other));

    for identity in [sd15(), sdxl()] {
        let wanted = target(CONTROLLED).engines(&identity, &[Path::new("/m/a")], &[]).into_iter();
        let controlled = wanted.filter(|wanted| wanted.spec.controlnet);
        let name = |wanted: &Wanted| {
            format!("{}, shared, {}", identity.architecture.kind, wanted.presets.join(", "))
        };
        all.extend(controlled.map(|wanted| Keyed::new(name(&wanted), wanted.spec)));
    }

    pinned::assert_json_lines("keys.jsonl", GOLDEN, &all);
    pinned::assert_variants::<Weights>(GOLDEN, "\"?\"");
    pinned::assert_variants::<Heads>(GOLDEN, "\"?\"");
    pinned::assert_variants::<Kind>(GOLDEN, "\"kind\":\"?\"");
    pinned::assert_variants::<Precision>(GOLDEN, "\"?\"");
}

/// Keys of synthetic checkpoints, which were golden first.
#[test]
fn keys_are_those_of_earlier_releases() {
    let shape = Shape { width: 512, height: 768, batch: 2 };
    let identity = samples::identity("a");
    let key = |toml, number: usize| {
        let wanted = target(toml).engines(&identity, &[Path::new("/m/a")], &[shape]);
        EngineSpec { recipe: 3, ..wanted[number].spec.clone() }.key().to_string()
    };
    let keys = [("", 0), ("", 2), (WITH_WEIGHTS, 0)].map(|(toml, n)| key(toml, n));
    let expected = [
        "4e627ba453bfbd6e7bb2bc36a41a759b53a58d8389919fadd8c45c2da046ef95",
        "fb2abf5c4699f06ba3b41792f37831399cf35ba95fa222237114641069f1f3d4",
        "a20992acfb206d084e33f64edcc09c9f5c9794d3bb8a5021c1d6c48e616ed6d9",
    ];
    assert_eq!(keys, expected, "a shared open one, a shared fixed one, a baked one");
}
