//! What machines share.

use checkpoint::Id;
use serde::{Deserialize, Serialize};

/// The store, as this daemon finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreStatus {
    /// Its address, without what opens it.
    pub url: String,
    /// `read` or `read-write`.
    pub mode: String,
    /// Why it is not asked, or nothing is added to it, at present; absent if all is well.
    pub problem: Option<String>,
    /// When it is asked again, in seconds since 1970; absent if it may be asked now.
    pub retry_at: Option<u64>,
    /// Engines taken from it since the daemon started.
    pub engines_taken: u64,
    /// Content hashes taken from it since the daemon started.
    pub contents_taken: u64,
    /// Objects added to it since the daemon started.
    pub added: u64,
    /// What in it was refused, and why: the last few, the newest last.
    pub refused: Vec<String>,
}

/// What [`crate::Request::Pull`] came to with one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pulled {
    /// The engine's key.
    pub engine: Id,
    /// What it is for: its kind of UNet, and presets or shape.
    pub label: String,
    /// What became of it.
    pub outcome: PullOutcome,
    /// Why it was refused or left; absent if it is here now.
    pub reason: Option<String>,
}

/// What became of an engine in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PullOutcome {
    /// It is here now.
    Taken,
    /// It was here before.
    Here,
    /// This machine can't use it.
    Left,
    /// It is not what it should be, or can't be read.
    Refused,
}
