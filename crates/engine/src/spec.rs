use checkpoint::{Architecture, Id, Identity};
use config::ComputeCapability;
use serde::{Deserialize, Serialize};
use unet::Precision;

use crate::Profile;

/// The TensorRT that engines are built with. An engine loads only in its own flavour.
pub const FLAVOUR: &str = "tensorrt-rtx";

/// Where an engine's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// They are inside: those of the UNet with this id.
    Baked(Id),
    /// They are inputs: any UNet with this [`checkpoint::signature`].
    Shared(Id),
}

impl Weights {
    /// The UNet id or the signature.
    pub fn id(&self) -> &Id {
        match self {
            Self::Baked(id) | Self::Shared(id) => id,
        }
    }

    /// Whether such an engine can run this checkpoint's UNet.
    pub fn fit(&self, identity: &Identity) -> bool {
        match self {
            Self::Baked(unet) => *unet == identity.ids.unet,
            Self::Shared(signature) => *signature == identity.signature,
        }
    }
}

/// Everything that determines an engine's bytes, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSpec {
    /// Where its weights come from.
    pub weights: Weights,
    /// What determines the graph besides names and shapes of the weights.
    pub architecture: Architecture,
    /// [`unet::RECIPE`] of the graph.
    pub recipe: u32,
    /// [`FLAVOUR`].
    pub flavour: String,
    /// The exact version of TensorRT.
    pub version: String,
    /// The GPUs to build for, sorted; if empty, the build's own GPU.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// The precision of its arithmetic.
    pub precision: Precision,
    /// Optimization profiles, in order, without those of the residuals, which follow from `sample`.
    pub profiles: Vec<Profile>,
    /// Whether it takes what ControlNets add: [`unet::Graph::residuals`]. Left out where it does not, as in the keys of
    /// releases that knew none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub controlnet: bool,
}

impl EngineSpec {
    /// The engine key: BLAKE3 of the JSON form, with the fields in the order above and sorted maps.
    pub fn key(&self) -> Id {
        // Serializing numbers, strings and lists to memory can't fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        Id::from(blake3::hash(&json))
    }

    /// The compute capabilities in words.
    pub fn compute_capability_names(&self) -> Vec<String> {
        match self.compute_capabilities.as_slice() {
            [] => vec!["default".to_owned()],
            some => some.iter().map(ToString::to_string).collect(),
        }
    }
}
