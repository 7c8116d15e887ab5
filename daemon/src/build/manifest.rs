use checkpoint::Id;
use serde::{Deserialize, Serialize};

use super::{Built, EngineSpec, Trial};

/// Raised when a manifest's meaning changes; others are left alone.
pub(super) const FORMAT: u32 = 3;

/// What is kept beside every engine: the truth about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `FORMAT`.
    pub format: u32,
    /// The engine's key, which its files are named by.
    pub key: Id,
    /// What the key was computed from.
    pub spec: EngineSpec,
    /// The presets whose profiles are inside.
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
    /// What running it showed, once for each GPU and driver, the newest last.
    pub trials: Vec<Trial>,
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
        let Built { bytes, blake3, peak_bytes } = built;
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
            trials: Vec::new(),
        }
    }

    /// With this trial in place of the one before on that GPU with that driver.
    pub(super) fn tried(mut self, trial: Trial) -> Self {
        self.trials.retain(|old| (&old.gpu, &old.driver) != (&trial.gpu, &trial.driver));
        self.trials.push(trial);
        self
    }
}
