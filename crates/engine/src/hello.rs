use std::fmt;

use serde::{Deserialize, Serialize};

/// Raised whenever what the daemon and a worker say to each other changes.
const MESSAGES: u32 = 1;

/// The first line of a worker: what it is. Before the daemon has read it, it hands over no job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The release.
    pub version: String,
    /// The form of [`crate::Job`] and [`crate::Report`] that it knows.
    pub messages: u32,
}

impl Hello {
    /// That of this program.
    pub fn own() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), messages: MESSAGES }
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} (message format {})", self.version, self.messages)
    }
}
