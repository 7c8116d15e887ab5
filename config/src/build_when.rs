use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// When engines are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum BuildWhen {
    /// `when-idle`: jobs that need a GPU or much CPU time run while no one else needs them.
    #[serde(rename = "when-idle")]
    Idle,
    /// `always`: even on a busy machine.
    #[serde(rename = "always")]
    Always,
    /// `never`: only what is requested.
    #[serde(rename = "never")]
    Never,
}

/// The text is none of these.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid value '{0}': expected when-idle, always or never")]
pub struct NotABuildWhen(String);

impl FromStr for BuildWhen {
    type Err = NotABuildWhen;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "when-idle" => Ok(Self::Idle),
            "always" => Ok(Self::Always),
            "never" => Ok(Self::Never),
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
