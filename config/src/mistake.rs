//! What is wrong, and where.

use std::{fmt, path::PathBuf};

use crate::key::nearest;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of the file, counted from 1.
    File {
        /// The configuration file.
        path: PathBuf,
        /// The line of the key.
        line: usize,
    },
    /// A variable of this name.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// Something in the configuration that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub origin: Origin,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => f.write_str(&self.message),
            origin => write!(f, "{origin}: {}", self.message),
        }
    }
}

/// One line for each.
pub(crate) fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}

/// What to say of a key that is not one of `known`.
pub(crate) fn unknown<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(typed, known) {
        Some(nearest) => format!("unknown key `{typed}`; the nearest known one is `{nearest}`"),
        None => format!("unknown key `{typed}`; the documented file has them all"),
    }
}

/// A message of the parser, with the nearest known key where it complains of an unknown one.
pub(crate) fn reworded(message: &str) -> String {
    // serde: unknown field `widht`, expected one of `name`, `width`
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next().filter(|_| message.starts_with("unknown field `")) {
        Some(typed) => unknown(typed, quoted),
        None => message.trim_end().to_owned(),
    }
}
