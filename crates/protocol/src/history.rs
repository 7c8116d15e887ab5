use checkpoint::Id;
use serde::{Deserialize, Serialize};
use strum::Display;

/// How a build or a validation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// Its engine was published.
    Built,
    /// Its engine was run on a GPU; see the engine for the results.
    #[serde(alias = "tried")]
    Validated,
    /// It will not be retried automatically.
    Failed,
    /// The job ended early, and its engine is queued again.
    Abandoned,
    /// Its engine was taken from the store, and published.
    Fetched,
}

/// A finished build or validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finished {
    /// Key of the engine.
    pub engine: Id,
    /// The checkpoint that it was built from or validated with.
    pub weights_id: Id,
    /// Where that was at the time.
    pub location: String,
    /// Its presets, in one text.
    pub preset: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it was built or validated.
    pub reason: Option<String>,
    /// Duration in whole seconds.
    pub seconds: u64,
    /// Size of the engine, in bytes.
    pub bytes: Option<u64>,
    /// When it ended, in seconds since 1970.
    pub ended_at: u64,
}

/// Messages of a worker and TensorRT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobLog {
    /// Key of the engine.
    pub engine: Id,
    /// The file.
    pub path: String,
    /// Its contents, or the last megabyte of them.
    pub text: String,
    /// Whether the beginning was omitted.
    pub is_cut: bool,
}

/// A plan with a checkpoint's weights inside, written to a chosen file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Materialized {
    /// The plan.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}
