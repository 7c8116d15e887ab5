//! Sample values for tests.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use checkpoint::{Architecture, Heads, Id, Identity, Ids, Kind};
use serde_json::json;
use unet::Precision;

use crate::{
    Accumulation, BOUND, Built, EngineSpec, FLAVOUR, Findings, Inside, Manifest, Proof, Validation,
    Weights,
};

/// The architecture of SD 1.x.
pub fn sd1() -> Architecture {
    Architecture {
        kind: Kind::Sd1,
        in_channels: 4,
        context_width: 768,
        y_width: None,
        heads: Heads::Count(8),
    }
}

/// The signature of all SD 1.x checkpoints in tests.
pub fn signature() -> Id {
    Id::from(blake3::hash(b"sd1"))
}

/// An SD 1.x engine with these weights, for no preset yet.
pub fn spec(weights: Weights) -> EngineSpec {
    EngineSpec {
        weights,
        architecture: sd1(),
        recipe: 1,
        flavour: FLAVOUR.to_owned(),
        version: "1.7.1.116".to_owned(),
        compute_capabilities: Vec::new(),
        precision: Precision::Fp16,
        profiles: Vec::new(),
        controlnet: false,
    }
}

/// What a worker reports after building this plan.
pub fn built(plan: &[u8]) -> Built {
    Built {
        bytes: plan.len() as u64,
        blake3: Id::from(blake3::hash(plan)),
        peak_bytes: 1,
        binding: None,
        accumulation: Accumulation::Fp32,
        weights: None,
    }
}

/// The same with this UNet's weights inside.
pub fn baked(plan: &[u8], unet: Id) -> Built {
    let weights = Some(Inside { unet, sample: Id::from(blake3::hash(b"sample")) });
    Built { weights, ..built(plan) }
}

/// Writes an engine of the "default" preset into a data folder in the previous release's format.
pub fn leave_former(data_dir: &Path, weights: Weights, key: &Id, pinned: bool) {
    let manifest = json!({
        "format": 3,
        "key": key,
        "spec": {
            "weights": weights,
            "architecture": sd1(),
            "recipe": 2,
            "flavour": "tensorrt-rtx",
            "version": "1.7.1.116",
            "compute_capabilities": ["8.9"],
            "precision": "fp16",
            "profiles": [{ "inputs": {
                "sample": { "min": [1, 4, 64, 64], "opt": [2, 4, 64, 64], "max": [8, 4, 96, 96] },
            } }],
        },
        "presets": ["default"],
        "weights_id": key,
        "bytes": 4,
        "blake3": Id::from(blake3::hash(b"plan")),
        "built_at": 7,
        "build_seconds": 41.5,
        "peak_bytes": 6_400_000_000_u64,
        "trials": [{
            "gpu": "GPU-0",
            "driver": "1",
            "unet": key,
            "tried_at": 8,
            "findings": {
                "proof": { "Ok": { "relative_error": 0.0102, "bound": 0.02 } },
                "proof_seconds": 6.25,
                "fill_seconds": 1.8,
                "speeds": [],
            },
        }],
    });
    let engines = data_dir.join("engines");
    fs::create_dir_all(&engines).unwrap();
    let write = |extension: &str, text: &str| {
        fs::write(engines.join(format!("{key}.{extension}")), text).unwrap();
    };
    write("engine", "plan");
    write("json", &manifest.to_string());
    if let Weights::Shared(_) = weights {
        write("constants", "constants");
    }
    if pinned {
        write("usage", r#"{"last_used":9,"pinned":true,"orphaned_since":null}"#);
    }
}

/// An SD 1.x checkpoint with ids made from its name.
pub fn identity(name: &str) -> Identity {
    let id = Id::from(blake3::hash(name.as_bytes()));
    Identity {
        ids: Ids { weights: id, unet: id },
        architecture: sd1(),
        signature: signature(),
        unet_parameters: 1,
        remarks: Vec::new(),
    }
}

/// A validation's findings; `None` for an output that is not finite.
pub fn findings(relative_error: Option<f64>) -> Findings {
    Findings {
        proof: Ok(Proof { relative_error, bound: BOUND }),
        proof_seconds: 4.0,
        speeds: Vec::new(),
        limit: None,
        calls: 0,
        call_seconds: 0.0,
    }
}

/// A validation with this result.
pub fn validation(gpu: &str, driver: &str, relative_error: Option<f64>) -> Validation {
    Validation {
        gpu: gpu.to_owned(),
        driver: driver.to_owned(),
        unet: Id::from(blake3::hash(b"unet")),
        validated_at: 0,
        borrowed: false,
        findings: findings(relative_error),
    }
}

/// A plan of this spec for the checkpoint of this name, built long ago.
pub fn manifest(spec: EngineSpec, presets: &[&str], name: &str) -> Manifest {
    let presets = presets.iter().map(|&preset| preset.to_owned()).collect();
    Manifest::new(spec, presets, identity(name).ids.weights, built(b"plan"), 7, 1.0)
}
