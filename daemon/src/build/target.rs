use std::path::Path;

use checkpoint::Kind;
use config::{ComputeCapability, Config, Preset};
use unet::Precision;

use super::{EngineSpec, FLAVOUR, Profile, Runtime, profile::family};
use crate::{gpu::Gpu, schedule::Identity};

/// What TensorRT-RTX 1.6 and 1.7 build for when it is named (seen by trying).
const BUILDABLE: [(u32, u32); 6] = [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)];

/// What engines are built with and for on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The libraries.
    pub runtime: Runtime,
    /// The GPUs, sorted; empty for those that TensorRT chooses by itself.
    pub compute_capabilities: Vec<ComputeCapability>,
    config: Config,
}

/// An engine that a checkpoint should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The engine.
    pub spec: EngineSpec,
    /// Names of the presets, in the order of the engine's profiles.
    pub presets: Vec<String>,
}

impl Target {
    /// The GPUs that are configured, or those of this machine.
    pub fn new(runtime: Runtime, config: &Config, gpus: &[Gpu]) -> Self {
        let mut compute_capabilities = config.compute_capabilities.clone();
        if compute_capabilities.is_empty() {
            // One that TensorRT does not name may still run what it builds by default.
            let present = gpus.iter().map(|gpu| gpu.compute_capability);
            compute_capabilities
                .extend(present.filter(|found| BUILDABLE.contains(&(found.major, found.minor))));
        }
        compute_capabilities.sort_unstable();
        compute_capabilities.dedup();
        Self { runtime, compute_capabilities, config: config.clone() }
    }

    /// The engine that a checkpoint which lies at these paths should have; `None` if rules want
    /// none for any of them.
    pub fn engine(&self, identity: &Identity, paths: &[&Path]) -> Option<Wanted> {
        let presets = self.presets(identity.architecture.kind, paths);
        (!presets.is_empty()).then(|| Wanted {
            spec: EngineSpec {
                unet_id: identity.ids.unet,
                architecture: identity.architecture.clone(),
                recipe: unet::RECIPE,
                flavour: FLAVOUR.to_owned(),
                version: self.runtime.version.clone(),
                compute_capabilities: self.compute_capabilities.clone(),
                precision: Precision::Fp16,
                profiles: presets
                    .iter()
                    .map(|preset| Profile::new(preset, &identity.architecture))
                    .collect(),
            },
            presets: presets.into_iter().map(|preset| preset.name).collect(),
        })
    }

    /// What any of the paths gives it, each preset once.
    fn presets(&self, kind: Kind, paths: &[&Path]) -> Vec<Preset> {
        let architecture = kind.to_string();
        let mut presets: Vec<Preset> = Vec::new();
        for path in paths {
            for preset in self.config.presets_for(&architecture, family(kind), path) {
                if !presets.contains(&preset) {
                    presets.push(preset);
                }
            }
        }
        presets
    }
}
