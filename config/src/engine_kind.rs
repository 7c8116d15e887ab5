use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where an engine's weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum EngineKind {
    /// `baked`: inside; an engine for each UNet.
    #[serde(rename = "baked")]
    Baked,
    /// `shared`: in the model that is loaded; one engine for each preset of all checkpoints of a kind.
    #[serde(rename = "shared")]
    Shared,
}

/// A text that is neither.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{0}' is no kind of engine: 'shared' or 'baked' is wanted")]
pub struct NotAnEngineKind(String);

impl FromStr for EngineKind {
    type Err = NotAnEngineKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "baked" => Ok(Self::Baked),
            "shared" => Ok(Self::Shared),
            other => Err(NotAnEngineKind(other.to_owned())),
        }
    }
}

impl TryFrom<String> for EngineKind {
    type Error = NotAnEngineKind;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
