use std::fmt;

use serde::{Deserialize, Serialize};

/// Raise this with every change to the messages between the daemon and a worker.
const MESSAGES: u32 = 3;

/// A worker's first line: its version. The daemon sends no job before it has read this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The worker's release.
    pub version: String,
    /// The version of [`crate::Job`] and [`crate::Report`] that it uses.
    pub messages: u32,
}

impl Hello {
    /// The versions of this program.
    pub fn own() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), messages: MESSAGES }
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} (message format {})", self.version, self.messages)
    }
}
