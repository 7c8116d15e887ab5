use checkpoint::Id;
use protocol::Shape;
use serde::{Deserialize, Serialize};
use unet::Binding;

use crate::{Accumulation, Built, EngineSpec, Validation, Weights};

/// Raised when a manifest's meaning changes.
pub(super) const FORMAT: u32 = 4;

/// The one before, whose engines may still serve. Nobody can use its shared engines any more.
pub(super) const FORMER_FORMAT: u32 = 3;

/// What is kept beside every engine: the truth about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `FORMAT`, or `FORMER_FORMAT`.
    pub format: u32,
    /// The engine's key, which its files are named by.
    pub key: Id,
    /// What the key was computed from.
    pub spec: EngineSpec,
    /// The presets whose profiles are inside; none where it is for one shape.
    pub presets: Vec<String>,
    /// The checkpoint it was built for; others may use it as well.
    pub weights_id: Id,
    /// Size of the plan.
    pub bytes: u64,
    /// BLAKE3 of the plan.
    pub blake3: Id,
    /// Seconds since 1970.
    pub built_at: u64,
    /// Seconds that building took.
    pub build_seconds: f64,
    /// Greatest memory that building held, in bytes.
    pub peak_bytes: u64,
    /// How its weights are bound; absent where they are inside.
    #[serde(default)]
    pub binding: Option<Binding>,
    /// What was read from the plan.
    #[serde(default)]
    pub accumulation: Accumulation,
    /// What running it showed, once for each model of GPU and driver, the newest last.
    #[serde(default)]
    pub validations: Vec<Validation>,
}

impl Manifest {
    /// The manifest of a plan that was just built.
    pub fn new(
        spec: EngineSpec,
        presets: Vec<String>,
        weights_id: Id,
        built: Built,
        built_at: u64,
        build_seconds: f64,
    ) -> Self {
        let Built { bytes, blake3, peak_bytes, binding, accumulation } = built;
        let key = spec.key();
        Self {
            format: FORMAT,
            key,
            spec,
            presets,
            weights_id,
            bytes,
            blake3,
            built_at,
            build_seconds,
            peak_bytes,
            binding,
            accumulation,
            validations: Vec::new(),
        }
    }

    /// Whether it is a former release's shared engine, which nobody can use any more.
    pub fn is_retired(&self) -> bool {
        self.is_former() && matches!(self.spec.weights, Weights::Shared(_))
    }

    /// Whether a former release built it.
    pub fn is_former(&self) -> bool {
        self.format == FORMER_FORMAT
    }

    /// The only shape that it serves, where it is for one.
    pub fn shape(&self) -> Option<Shape> {
        self.spec.profiles.first().filter(|_| self.presets.is_empty())?.shape()
    }

    /// With this validation in place of the one before on that model of GPU with that driver.
    pub(super) fn validated(mut self, validation: Validation) -> Self {
        let id = |one: &Validation| (one.gpu.clone(), one.driver.clone());
        self.validations.retain(|old| id(old) != id(&validation));
        self.validations.push(validation);
        self
    }
}
