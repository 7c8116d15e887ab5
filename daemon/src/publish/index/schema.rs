use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use checkpoint::{Id, Kind};
use config::{Prefer, Range};
use engine::{BOUND, Manifest, Profile, Proof, Validation, Weights, positions};
use serde::{Serialize, Serializer};

/// Raise this when a reader of the previous version would misread the index.
const VERSION: u32 = 2;

/// The published engines by signature and by checkpoint: `index.json`. docs/index.md describes the fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Index {
    version: u32,
    socket: PathBuf,
    bound: f64,
    prefer: Prefer,
    signatures: Vec<Signature>,
    checkpoints: Vec<Checkpoint>,
}

/// A signature with engines.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Signature {
    id: Id,
    architecture: String,
    engines: Vec<Engine>,
    /// Those that take what ControlNets add. Apart, because a reader that knows none would take them for the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    controlnet: Vec<Engine>,
}

/// A checkpoint and its locations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    id: Id,
    unet: Id,
    signature: Id,
    architecture: String,
    locations: Vec<String>,
    engines: Vec<Engine>,
    refused: Vec<Id>,
}

/// The ids of a checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// The weights id.
    pub weights: Id,
    /// The UNet id.
    pub unet: Id,
    /// The UNet's signature.
    pub signature: Id,
}

/// A published engine.
#[derive(Clone, Debug)]
pub struct IndexedEngine<'a> {
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// The path of its plan.
    pub plan: PathBuf,
    /// How accurate it is.
    pub proof: Option<&'a Proof>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Engine {
    id: Id,
    kind: Form,
    plan: String,
    manifest: String,
    tensorrt: String,
    compute_capabilities: Vec<String>,
    precision: String,
    state: Trust,
    relative_error: Option<f64>,
    profiles: Vec<Sizes>,
    limits: Vec<Limit>,
    speeds: Vec<Speed>,
    sample: Option<Id>,
}

/// Where the weights are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// In the plan.
    Baked,
    /// In the loaded model.
    Shared,
}

/// The result of comparing its output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Trust {
    Unproven,
    Ready,
    Failed,
}

/// An optimization profile: min, opt and max of each dimension.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Sizes {
    preset: String,
    #[serde(flatten, serialize_with = "by_name")]
    ranges: Vec<(&'static str, Range)>,
}

/// The largest image, in pixels, on a GPU model.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Limit {
    gpu: String,
    pixels: u64,
}

/// The latency of one call on a GPU model, for a shape in a profile's terms.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Speed {
    gpu: String,
    width: u32,
    height: u32,
    batch: u32,
    tokens: u64,
    milliseconds: f64,
}

impl Index {
    /// The index of these checkpoints and of the shared engines in `engines`, the best one first.
    pub fn new<'a>(
        socket: PathBuf,
        prefer: Prefer,
        checkpoints: impl IntoIterator<Item = Checkpoint>,
        engines: impl IntoIterator<Item = IndexedEngine<'a>>,
    ) -> Self {
        let mut signatures: BTreeMap<Id, Signature> = BTreeMap::new();
        for engine in engines {
            let spec = &engine.manifest.spec;
            let (Weights::Shared(id), Some(shown)) = (spec.weights, Engine::new(&engine)) else {
                continue;
            };
            let architecture = spec.architecture.kind.to_string();
            let new =
                || Signature { id, architecture, engines: Vec::new(), controlnet: Vec::new() };
            let signature = signatures.entry(id).or_insert_with(new);
            let alike =
                if spec.controlnet { &mut signature.controlnet } else { &mut signature.engines };
            alike.push(shown);
        }
        let mut checkpoints: Vec<_> = checkpoints.into_iter().collect();
        checkpoints.sort_by_key(|found| found.id);
        let signatures = signatures.into_values().collect();
        Self { version: VERSION, socket, bound: BOUND, prefer, signatures, checkpoints }
    }
}

impl Checkpoint {
    /// A checkpoint with its baked engines, the best one first, and the shared ones that are wrong with its
    /// weights. Paths that are not UTF-8 are left out, because JSON can't represent them.
    pub fn new<'a>(
        ids: Ids,
        architecture: Kind,
        paths: &[&Path],
        engines: impl IntoIterator<Item = IndexedEngine<'a>>,
        refused: Vec<Id>,
    ) -> Self {
        let Ids { weights, unet, signature } = ids;
        let engines = engines.into_iter();
        Self {
            id: weights,
            unet,
            signature,
            architecture: architecture.to_string(),
            locations: paths.iter().filter_map(|path| path.to_str().map(str::to_owned)).collect(),
            engines: engines.filter_map(|engine| Engine::new(&engine)).collect(),
            refused,
        }
    }
}

impl Engine {
    fn new(engine: &IndexedEngine<'_>) -> Option<Self> {
        let IndexedEngine { manifest, plan, proof } = engine;
        let spec = &manifest.spec;
        let text = |path: &Path| path.to_str().map(str::to_owned);
        // A fixed engine for a shape has no preset.
        let names = manifest.presets.iter().map(String::as_str).chain(std::iter::repeat("fixed"));
        let profiles = names.zip(&spec.profiles);
        Some(Self {
            id: manifest.key,
            kind: match spec.weights {
                Weights::Baked(_) => Form::Baked,
                Weights::Shared(_) => Form::Shared,
            },
            plan: text(plan)?,
            manifest: text(&plan.with_extension("json"))?,
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
            limits: limits(&manifest.validations),
            speeds: speeds(&manifest.validations),
            sample: manifest.sample,
        })
    }
}

/// Returns the newest validation on each GPU model.
fn newest(validations: &[Validation]) -> BTreeMap<&str, &Validation> {
    validations.iter().map(|validation| (validation.gpu.as_str(), validation)).collect()
}

/// Returns the sizes above which it gives NaN or infinity.
fn limits(validations: &[Validation]) -> Vec<Limit> {
    let limits = newest(validations).into_iter().filter_map(|(gpu, validation)| {
        let pixels = validation.findings.limit.as_ref()?.pixels;
        Some(Limit { gpu: gpu.to_owned(), pixels })
    });
    limits.collect()
}

/// Returns what the newest validation on each GPU model measured.
fn speeds(validations: &[Validation]) -> Vec<Speed> {
    let speeds = newest(validations).into_iter().flat_map(|(gpu, validation)| {
        validation.findings.speeds.iter().map(|speed| Speed {
            gpu: gpu.to_owned(),
            width: speed.width,
            height: speed.height,
            batch: speed.batch,
            tokens: positions(speed.tokens.into()),
            milliseconds: speed.milliseconds,
        })
    });
    speeds.collect()
}

impl Sizes {
    fn new(preset: &str, profile: &Profile) -> Self {
        Self { preset: preset.to_owned(), ranges: profile.ranges() }
    }
}

/// Ranges as [min, opt, max] by the dimension's name.
fn by_name<S: Serializer>(ranges: &[(&str, Range)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer
        .collect_map(ranges.iter().map(|(name, range)| (name, [range.min, range.opt, range.max])))
}
