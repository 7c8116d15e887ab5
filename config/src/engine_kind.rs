use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where an engine's weights are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum EngineKind {
    /// `baked`: in the engine; one engine for each UNet.
    #[serde(rename = "baked")]
    Baked,
    /// `shared`: in the loaded model; one engine per preset for all checkpoints of a kind.
    #[serde(rename = "shared")]
    Shared,
}

/// The text is neither.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid value '{0}': expected shared or baked")]
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
