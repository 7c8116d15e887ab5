use config::{ComputeCapability, Preset};
use unet::Precision;

use super::{EngineSpec, FLAVOUR, Profile, Runtime};
use crate::{gpu::Gpu, schedule::Identity};

/// What TensorRT-RTX 1.6 and 1.7 build for when it is named (seen by trying).
const BUILDABLE: [(u32, u32); 6] = [(7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1)];

/// What engines are built with and for on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The libraries.
    pub runtime: Runtime,
    /// The GPUs, sorted; empty for those that TensorRT chooses by itself.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// The sizes.
    pub preset: Preset,
}

impl Target {
    /// The GPUs that are `configured`, or those of this machine.
    pub fn new(runtime: Runtime, configured: &[ComputeCapability], gpus: &[Gpu]) -> Self {
        let mut compute_capabilities = configured.to_vec();
        if configured.is_empty() {
            // One that TensorRT does not name may still run what it builds by default.
            let present = gpus.iter().map(|gpu| gpu.compute_capability);
            compute_capabilities
                .extend(present.filter(|found| BUILDABLE.contains(&(found.major, found.minor))));
        }
        compute_capabilities.sort_unstable();
        compute_capabilities.dedup();
        Self { runtime, compute_capabilities, preset: Preset::default() }
    }

    /// The engine that this checkpoint should have.
    pub fn engine(&self, identity: &Identity) -> EngineSpec {
        EngineSpec {
            unet_id: identity.ids.unet,
            architecture: identity.architecture.clone(),
            recipe: unet::RECIPE,
            flavour: FLAVOUR.to_owned(),
            version: self.runtime.version.clone(),
            compute_capabilities: self.compute_capabilities.clone(),
            precision: Precision::Fp16,
            profiles: vec![Profile::new(&self.preset, &identity.architecture)],
        }
    }
}
