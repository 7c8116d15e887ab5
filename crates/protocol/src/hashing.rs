use serde::{Deserialize, Serialize};

/// Checkpoints that can be used by their headers, and whose content is read when no one else needs the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hashing {
    /// Number of files, including those being read.
    pub files: u64,
    /// Their total size.
    pub bytes: u64,
    /// Paths of those being read: at most one for each disk.
    pub reading: Vec<String>,
}
