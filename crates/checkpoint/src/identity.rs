use crate::{Architecture, Id, Ids};
use serde::{Deserialize, Serialize};

/// What reading a checkpoint taught.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who it is, by content; [provisional](Ids::provisional) until that was read.
    pub ids: Ids,
    /// Which Stable Diffusion it is.
    pub architecture: Architecture,
    /// [`crate::signature()`] of the UNet: those with the same one can share an engine.
    pub signature: Id,
    /// Numbers in the UNet, which decide how big an engine gets.
    pub unet_parameters: u64,
}
