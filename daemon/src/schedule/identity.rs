use checkpoint::{Architecture, Id, Ids};
use serde::{Deserialize, Serialize};

/// What reading a checkpoint taught.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who it is, by content.
    pub ids: Ids,
    /// Which Stable Diffusion it is.
    pub architecture: Architecture,
    /// [`checkpoint::signature`] of the UNet: those with the same one can share an engine.
    pub signature: Id,
    /// Numbers in the UNet, which decide how big an engine gets.
    pub unet_parameters: u64,
}

/// How reading a file ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A checkpoint that engines can be built for.
    Identified(Identity),
    /// Not one, and why. The same bytes will be no better the next time.
    Rejected(String),
    /// It could not be read, and why. The next time it may be.
    Unreadable(String),
}
