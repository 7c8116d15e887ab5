use anyhow::Result;
use serde::{Serialize, de::DeserializeOwned};

/// Raise this when the readers or the stored form change, so that files are read again: one that was rejected
/// may be accepted now.
const LESSONS: u32 = 6;

/// Raise this when problems of the machine are better distinguished from those of a checkpoint: failures
/// under an older value are retried.
const SETBACKS: u32 = 4;

/// What the names of the tables of setbacks begin with, whatever their version.
pub(super) const ANY_SETBACKS: &str = "setbacks.";

/// The name of the folder of excerpts, which outcomes refer to.
pub(super) fn excerpts() -> String {
    format!("excerpts.{LESSONS}")
}

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What is there but once.
    Own,
    Outcomes,
    /// By the same keys.
    Names,
    /// By a hash of the path: the key of the outcome of what lay there last.
    Places,
    Setbacks,
    /// By a growing number: 8 bytes, big-endian.
    History,
    /// By signature.
    Parameters,
    /// By signature.
    Shapes,
}

impl Part {
    pub(super) const ALL: [Self; 8] = [
        Self::Own,
        Self::Outcomes,
        Self::Names,
        Self::Places,
        Self::Setbacks,
        Self::History,
        Self::Parameters,
        Self::Shapes,
    ];

    /// The name of its file, which is another for another version.
    pub(super) fn file_name(self) -> String {
        match self {
            Self::Own => "own".to_owned(),
            Self::Outcomes => format!("outcomes.{LESSONS}"),
            Self::Names => "names".to_owned(),
            Self::Places => format!("places.{LESSONS}"),
            Self::Setbacks => format!("{ANY_SETBACKS}{SETBACKS}"),
            Self::History => "history".to_owned(),
            Self::Parameters => format!("parameters.{LESSONS}"),
            Self::Shapes => "shapes".to_owned(),
        }
    }

    /// A start reads thousands of outcomes: their binary form takes a tenth of the time and a third of the
    /// space.
    pub(super) fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>> {
        match self {
            Self::Outcomes | Self::Names | Self::Places | Self::Parameters => {
                Ok(postcard::to_allocvec(value)?)
            }
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                Ok(serde_json::to_vec(value)?)
            }
        }
    }

    /// Returns `None` if the value does not parse.
    pub(super) fn decode<T: DeserializeOwned>(self, value: &[u8]) -> Option<T> {
        match self {
            Self::Outcomes | Self::Names | Self::Places | Self::Parameters => {
                postcard::from_bytes(value).ok()
            }
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                serde_json::from_slice(value).ok()
            }
        }
    }
}
