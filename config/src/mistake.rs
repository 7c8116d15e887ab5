//! Mistakes in the configuration, with their locations.

use std::{fmt, path::PathBuf};

use crate::key::nearest;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is the default.
    Default,
    /// A line of the file, starting at 1.
    File {
        /// The configuration file.
        path: PathBuf,
        /// The line of the key.
        line: usize,
    },
    /// An environment variable.
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

/// A mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was made.
    pub origin: Origin,
    /// What is wrong, and what was expected.
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

/// Joins the messages, one per line.
pub(crate) fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
}

/// Returns the message for a key that is not in `known`.
pub(crate) fn unknown<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(typed, known) {
        Some(nearest) => format!("unknown key `{typed}`; did you mean `{nearest}`?"),
        None => format!("unknown key `{typed}`; the documented sdtrtd.toml lists all keys"),
    }
}

/// Returns the parser's message; for an unknown key, with the nearest known one.
pub(crate) fn reworded(message: &str) -> String {
    // serde: unknown field `widht`, expected one of `name`, `width`
    let mut quoted = message.split('`').skip(1).step_by(2);
    match quoted.next().filter(|_| message.starts_with("unknown field `")) {
        Some(typed) => unknown(typed, quoted),
        None => message.trim_end().to_owned(),
    }
}
