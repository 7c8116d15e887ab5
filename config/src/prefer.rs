use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What computes a call for which the web UI has measured both an engine and PyTorch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum Prefer {
    /// `fastest`: PyTorch, where it is faster.
    #[default]
    #[serde(rename = "fastest")]
    Fastest,
    /// `engine`: the engine in any case.
    #[serde(rename = "engine")]
    Engine,
}

/// The text is neither.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid value '{0}': expected fastest or engine")]
pub struct NotAPrefer(String);

impl FromStr for Prefer {
    type Err = NotAPrefer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fastest" => Ok(Self::Fastest),
            "engine" => Ok(Self::Engine),
            other => Err(NotAPrefer(other.to_owned())),
        }
    }
}

impl TryFrom<String> for Prefer {
    type Error = NotAPrefer;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
