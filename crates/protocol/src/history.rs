use std::fmt;

use serde::{Deserialize, Serialize};

/// How a build or a validation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its engine was published.
    Built,
    /// Its engine was run on a GPU; the engine itself tells what was found.
    #[serde(alias = "tried")]
    Validated,
    /// It will not be done again by itself.
    Failed,
    /// A build ended early, and its engine waits for its turn again.
    Abandoned,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Built => "built",
            Self::Validated => "validated",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        })
    }
}

/// A build or a validation that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finished {
    /// Key of the engine, 64 hex digits.
    pub engine: String,
    /// The checkpoint that it was built from or validated with.
    pub weights_id: String,
    /// Where that lay then.
    pub location: String,
    /// The presets that it holds, in one text.
    pub preset: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, unless it was built or validated.
    pub reason: Option<String>,
    /// Whole seconds that it took.
    pub seconds: u64,
    /// Size of the engine that was built.
    pub bytes: Option<u64>,
    /// When it ended, in seconds since 1970.
    pub ended_at: u64,
}

/// What a worker and TensorRT said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobLog {
    /// Key of the engine, 64 hex digits.
    pub engine: String,
    /// The file.
    pub path: String,
    /// What it holds, or the last megabyte of it.
    pub text: String,
    /// The beginning was left out.
    pub is_cut: bool,
}

/// A plan with a checkpoint's weights inside, written where somebody wanted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Materialized {
    /// The plan.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}
