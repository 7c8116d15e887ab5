use std::sync::Arc;

use checkpoint::Id;
use serde::{Deserialize, Serialize};
use strum::Display;

use crate::{Engine, EntryKey, Shape};

/// A checkpoint's or an engine's progress.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum State {
    /// The file is new or changing; it is read once it stops changing.
    Settling,
    /// Its tensors are being read.
    Identifying,
    /// An engine is missing, or not yet validated on the GPU, and is waiting.
    Queued,
    /// An engine is being built, or validated for the first time.
    Building,
    /// The engines of its presets are available.
    Ready,
    /// An engine is missing and will not be built automatically; the reason says what to do.
    Failed,
    /// Not a checkpoint that engines can be built for; the reason says why.
    Rejected,
    /// It should have no engine: the configuration says so, or its engine was removed; the reason says which.
    Off,
    /// No visible file has these weights, but one may be on a disk or in a folder that is unavailable; until
    /// that returns, its engines are kept.
    Away,
    /// No file has these weights any more; its engines are kept for a while.
    Orphaned,
    /// A shared engine of an earlier release, which is no longer used; it is deleted once a new one exists.
    Retired,
}

/// A set of weights, in whichever files; or one file whose weights are unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Checkpoint {
    /// Absent until the file's content has been read, and if it was rejected. Its engines can be used as soon as its
    /// header has been read, which tells the architecture.
    pub weights_id: Option<Id>,
    /// What its baked engines are known by.
    pub unet_id: Option<Id>,
    /// Such as `sd1` or `sdxl-inpaint`.
    pub architecture: Option<String>,
    /// Its progress.
    pub state: State,
    /// Why, if there is a reason.
    pub reason: Option<String>,
    /// What its owner should know of it, such as which front end can't load it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Its paths, sorted.
    pub locations: Vec<String>,
    /// Its published engines.
    pub engines: Vec<Arc<Engine>>,
    /// Engines that it should have but lacks, or that are not used yet, in the order in which they will be built.
    pub coming: Vec<Coming>,
}

impl Checkpoint {
    /// What tells this entry from all others.
    pub fn key(&self) -> EntryKey {
        let path = || self.locations.first().cloned().unwrap_or_default();
        self.weights_id.map_or_else(|| EntryKey::Path(path()), EntryKey::Weights)
    }
}

/// An engine to be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coming {
    /// The presets that it will serve; empty if it is for a single shape.
    pub presets: Vec<String>,
    /// The only shape that it will serve, if it is for a requested one.
    pub fixed: Option<Shape>,
    /// Its progress.
    pub state: State,
    /// Why, if there is a reason.
    pub reason: Option<String>,
}

impl Coming {
    /// What it serves, in one text.
    pub fn label(&self) -> String {
        self.fixed.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}
