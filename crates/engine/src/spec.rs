use checkpoint::{Architecture, Id, Identity};
use config::ComputeCapability;
use serde::{Deserialize, Serialize};
use unet::Precision;

use crate::Profile;

/// The TensorRT that engines are built with. Engines of one flavour never load in another.
pub const FLAVOUR: &str = "tensorrt-rtx";

/// Whose weights an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Inside, those of this UNet.
    Baked(Id),
    /// None: they are inputs, those of any UNet of this [`checkpoint::signature`].
    Shared(Id),
}

impl Weights {
    /// The UNet id or the signature.
    pub fn id(&self) -> &Id {
        match self {
            Self::Baked(id) | Self::Shared(id) => id,
        }
    }

    /// Whether such an engine runs this checkpoint's UNet.
    pub fn fit(&self, identity: &Identity) -> bool {
        match self {
            Self::Baked(unet) => *unet == identity.ids.unet,
            Self::Shared(signature) => *signature == identity.signature,
        }
    }
}

/// Everything that decides an engine's bytes, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSpec {
    /// Whose weights it has.
    pub weights: Weights,
    /// What decides the graph beside the weights.
    pub architecture: Architecture,
    /// [`unet::RECIPE`] of the graph.
    pub recipe: u32,
    /// [`FLAVOUR`].
    pub flavour: String,
    /// Version of TensorRT, exactly.
    pub version: String,
    /// GPUs to build for, sorted; empty for those that TensorRT chooses by itself.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// Arithmetic inside.
    pub precision: Precision,
    /// Optimization profiles, in order.
    pub profiles: Vec<Profile>,
}

impl EngineSpec {
    /// BLAKE3 of the JSON form, whose fields stand in the order above and whose maps are sorted.
    pub fn key(&self) -> Id {
        // Writing numbers, texts and lists to memory does not fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Id::from(blake3::hash(&json))
    }

    /// Compute capabilities for people to read.
    pub fn compute_capability_names(&self) -> Vec<String> {
        match self.compute_capabilities.as_slice() {
            [] => vec!["default".to_owned()],
            some => some.iter().map(ToString::to_string).collect(),
        }
    }
}
