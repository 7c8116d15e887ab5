use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// When engines are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum BuildWhen {
    /// `when-idle`: while nobody else needs the GPU or, without one, the CPU.
    #[serde(rename = "when-idle")]
    Idle,
    /// `always`: whatever the machine does.
    #[serde(rename = "always")]
    Always,
}

/// A text that is neither.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{0}' is no time to build: 'when-idle' or 'always' is wanted")]
pub struct NotABuildWhen(String);

impl FromStr for BuildWhen {
    type Err = NotABuildWhen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "when-idle" => Ok(Self::Idle),
            "always" => Ok(Self::Always),
            other => Err(NotABuildWhen(other.to_owned())),
        }
    }
}

impl TryFrom<String> for BuildWhen {
    type Error = NotABuildWhen;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
