use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A GPU's compute capability, such as 8.9 (Ada) or 12.0 (Blackwell).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComputeCapability {
    /// The number before the dot.
    pub major: u32,
    /// The number after the dot.
    pub minor: u32,
}

/// The text does not have the form `MAJOR.MINOR`.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid compute capability '{0}': expected MAJOR.MINOR, such as 8.9")]
pub struct NotAComputeCapability(String);

impl FromStr for ComputeCapability {
    type Err = NotAComputeCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self { major: number(major)?, minor: number(minor)? }))
            .ok_or_else(|| NotAComputeCapability(text.to_owned()))
    }
}

impl fmt::Display for ComputeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl TryFrom<String> for ComputeCapability {
    type Error = NotAComputeCapability;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ComputeCapability> for String {
    fn from(value: ComputeCapability) -> Self {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_major_and_minor() {
        assert_eq!("8.9".parse(), Ok(ComputeCapability { major: 8, minor: 9 }));
        assert_eq!("12.0".parse::<ComputeCapability>().unwrap().to_string(), "12.0");
        for text in ["", "8", "89", "8.", ".9", "8.9.1", "sm_89", "+8.9", "8.9 ", "800.1"] {
            assert!(text.parse::<ComputeCapability>().is_err(), "{text}");
        }
    }
}
