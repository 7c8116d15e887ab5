//! The precision of a graph.

use std::fmt;
use std::str::FromStr;

use checkpoint::Dtype;
use serde::{Deserialize, Serialize};

/// The type of a graph's inputs, output and arithmetic. `timesteps` is always fp32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// IEEE 754 binary16.
    Fp16,
    /// IEEE 754 binary32.
    Fp32,
}

impl Precision {
    /// The type of an element.
    #[must_use]
    pub fn dtype(self) -> Dtype {
        match self {
            Self::Fp16 => Dtype::F16,
            Self::Fp32 => Dtype::F32,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp16 => "fp16",
            Self::Fp32 => "fp32",
        })
    }
}

/// The text is neither `fp16` nor `fp32`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision {0:?}: expected fp16 or fp32")]
pub struct UnknownPrecision(String);

impl FromStr for Precision {
    type Err = UnknownPrecision;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fp16" => Ok(Self::Fp16),
            "fp32" => Ok(Self::Fp32),
            other => Err(UnknownPrecision(other.to_owned())),
        }
    }
}
