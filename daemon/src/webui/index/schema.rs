use std::path::{Path, PathBuf};

use checkpoint::{Id, Kind};
use serde::Serialize;

use crate::build::{Manifest, Profile, Proof, Weights};

/// Raised when a reader of the version before would go wrong.
const VERSION: u32 = 1;

/// The engines that are there, by checkpoint: `index.json`. What each field means is told to its
/// readers in docs/index.md.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Index {
    version: u32,
    socket: PathBuf,
    checkpoints: Vec<Checkpoint>,
}

/// A content that has engines, and where it lies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    id: Id,
    unet: Id,
    architecture: String,
    locations: Vec<String>,
    engines: Vec<Engine>,
}

/// A published engine, for one checkpoint.
#[derive(Clone, Debug)]
pub struct IndexedEngine<'a> {
    /// What it is.
    pub manifest: &'a Manifest,
    /// Its plan.
    pub plan: PathBuf,
    /// What it is refitted with beside the checkpoint, if it is shared.
    pub constants: PathBuf,
    /// What was found of its numbers.
    pub proof: Option<&'a Proof>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Engine {
    id: Id,
    kind: Form,
    plan: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    constants: Option<String>,
    tensorrt: String,
    compute_capabilities: Vec<String>,
    precision: String,
    state: Trust,
    relative_error: Option<f64>,
    profiles: Vec<Sizes>,
}

/// Where the weights are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// In the plan.
    Baked,
    /// In the checkpoint.
    Shared,
}

/// What comparing its numbers with PyTorch's gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Trust {
    Unproven,
    Ready,
    Failed,
}

/// An optimization profile: least, usual and greatest of each size.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Sizes {
    preset: String,
    width: [u64; 3],
    height: [u64; 3],
    batch: [u64; 3],
    tokens: [u64; 3],
}

impl Index {
    /// Of these checkpoints; those without an engine are left out.
    pub fn new(socket: PathBuf, checkpoints: impl IntoIterator<Item = Checkpoint>) -> Self {
        let with_engines = checkpoints.into_iter().filter(|found| !found.engines.is_empty());
        let mut checkpoints: Vec<_> = with_engines.collect();
        checkpoints.sort_by_key(|found| found.id);
        Self { version: VERSION, socket, checkpoints }
    }
}

impl Checkpoint {
    /// With its engines, the best one first. Paths that are not UTF-8 are left out, as JSON has no word for them.
    pub fn new<'a>(
        (weights, unet): (Id, Id),
        architecture: Kind,
        paths: &[&Path],
        engines: impl IntoIterator<Item = IndexedEngine<'a>>,
    ) -> Self {
        let engines = engines.into_iter();
        Self {
            id: weights,
            unet,
            architecture: architecture.to_string(),
            locations: paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect(),
            engines: engines.filter_map(|engine| Engine::new(&engine)).collect(),
        }
    }
}

impl Engine {
    fn new(engine: &IndexedEngine<'_>) -> Option<Self> {
        let IndexedEngine { manifest, plan, constants, proof } = engine;
        let spec = &manifest.spec;
        let text = |path: &Path| path.to_str().map(str::to_owned);
        let (kind, constants) = match spec.weights {
            Weights::Baked(_) => (Form::Baked, None),
            Weights::Shared(_) => (Form::Shared, Some(text(constants)?)),
        };
        let profiles = manifest.presets.iter().zip(&spec.profiles);
        Some(Self {
            id: manifest.key,
            kind,
            plan: text(plan)?,
            constants,
            tensorrt: spec.version.clone(),
            compute_capabilities: spec
                .compute_capabilities
                .iter()
                .map(ToString::to_string)
                .collect(),
            precision: spec.precision.to_string(),
            state: match proof {
                None => Trust::Unproven,
                Some(proof) if proof.holds() => Trust::Ready,
                Some(_) => Trust::Failed,
            },
            relative_error: proof.and_then(|proof| proof.relative_error),
            profiles: profiles.map(|(preset, profile)| Sizes::new(preset, profile)).collect(),
        })
    }
}

impl Sizes {
    fn new(preset: &str, profile: &Profile) -> Self {
        let pixels = |dimension| profile.range("sample", dimension).map(Profile::pixels);
        let all = |range: config::Range| [range.min, range.opt, range.max];
        Self {
            preset: preset.to_owned(),
            width: all(pixels(3)),
            height: all(pixels(2)),
            batch: all(profile.range("sample", 0)),
            tokens: all(profile.range("encoder_hidden_states", 1)),
        }
    }
}
