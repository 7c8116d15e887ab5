use crate::{Architecture, Id, Ids, Remark};
use serde::{Deserialize, Serialize};

/// What reading a checkpoint's file yields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its ids; [provisional](Ids::provisional) until its content was read.
    pub ids: Ids,
    /// Its kind and dimensions.
    pub architecture: Architecture,
    /// The UNet's [`crate::signature()`]: UNets with the same signature can share engines.
    pub signature: Id,
    /// The number of the UNet's parameters, which determines a baked engine's size.
    pub unet_parameters: u64,
    /// What its owner should know of it.
    pub remarks: Vec<Remark>,
}
