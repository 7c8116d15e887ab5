use checkpoint::Id;
use protocol::Shape;
use serde::{Deserialize, Serialize};
use unet::Binding;

use crate::{Accumulation, Built, EngineSpec, Validation, Weights};

/// The manifest's format; raise it when its meaning changes.
pub(super) const FORMAT: u32 = 4;

/// The previous format, whose baked engines still work; its shared engines do not.
pub(super) const FORMER_FORMAT: u32 = 3;

/// An engine's manifest, stored beside its plan: the source of truth about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `FORMAT`, or `FORMER_FORMAT`.
    pub format: u32,
    /// The engine's key, and its files' name.
    pub key: Id,
    /// The specification that the key is a hash of.
    pub spec: EngineSpec,
    /// The presets that its profiles are for; empty if it serves only one shape.
    pub presets: Vec<String>,
    /// The checkpoint that it was built for; others may use it too.
    pub weights_id: Id,
    /// Size of the plan in bytes.
    pub bytes: u64,
    /// BLAKE3 of the plan.
    pub blake3: Id,
    /// When it was built, in seconds since 1970.
    pub built_at: u64,
    /// How long the build took, in seconds.
    pub build_seconds: f64,
    /// The build's peak memory use in bytes.
    pub peak_bytes: u64,
    /// A shared engine's binding; absent for a baked one.
    #[serde(default)]
    pub binding: Option<Binding>,
    /// In which type the plan's attention accumulates.
    #[serde(default)]
    pub accumulation: Accumulation,
    /// [`checkpoint::Sample`] of a baked engine's weights; absent for a shared one, and if an older release built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Id>,
    /// Validations, one for each GPU model and driver, newest last.
    #[serde(default)]
    pub validations: Vec<Validation>,
}

impl Manifest {
    /// Makes the manifest of a new plan.
    pub fn new(
        spec: EngineSpec,
        presets: Vec<String>,
        weights_id: Id,
        built: Built,
        built_at: u64,
        build_seconds: f64,
    ) -> Self {
        let Built { bytes, blake3, peak_bytes, binding, accumulation, weights } = built;
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
            sample: weights.map(|inside| inside.sample),
            validations: Vec::new(),
        }
    }

    /// Whether this release would write it like this.
    pub fn is_current(&self) -> bool {
        self.format == FORMAT
    }

    /// Whether this is an earlier release's shared engine, which can't be used any more.
    pub fn is_retired(&self) -> bool {
        self.is_former() && matches!(self.spec.weights, Weights::Shared(_))
    }

    /// Whether an earlier release built it.
    pub fn is_former(&self) -> bool {
        self.format == FORMER_FORMAT
    }

    /// The shape of a fixed engine that serves no preset.
    pub fn shape(&self) -> Option<Shape> {
        self.spec.profiles.first().filter(|_| self.presets.is_empty())?.shape()
    }

    /// What it is for, in a few words: its kind of UNet, and presets or shape.
    pub fn label(&self) -> String {
        let kind = self.spec.architecture.kind;
        match self.shape() {
            Some(shape) => format!("{kind}, {shape}"),
            None => format!("{kind}, {}", self.presets.join(", ")),
        }
    }

    /// When it was validated last, in seconds since 1970.
    pub fn validated_at(&self) -> Option<u64> {
        self.validations.iter().map(|validation| validation.validated_at).max()
    }

    /// Adds this validation, replacing an earlier one on the same GPU model and driver.
    pub(super) fn validated(mut self, validation: Validation) -> Self {
        let id = |one: &Validation| (one.gpu.clone(), one.driver.clone());
        self.validations.retain(|old| id(old) != id(&validation));
        self.validations.push(validation);
        self
    }
}
