use std::{
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use tempfile::Builder;

use crate::read_regular;

/// More than it takes.
const USAGE_BYTES: u64 = 1 << 16;

/// How an engine is used, stored beside its manifest as `KEY.usage`; unlike that, it changes. Times are
/// seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it was last built, requested, or reused by a checkpoint that came back.
    pub last_used: u64,
    /// The user pinned it: it is never evicted.
    pub pinned: bool,
    /// Since when no file has had its UNet.
    pub orphaned_since: Option<u64>,
    /// The seconds through which the daemon had lived by then: its grace time is counted from these, as clocks jump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned_lived_s: Option<u64>,
}

impl Usage {
    /// The usage of an engine that was built at this time.
    pub fn since(built_at: u64) -> Self {
        Self { last_used: built_at, pinned: false, orphaned_since: None, orphaned_lived_s: None }
    }

    /// Reads `path`; `None` if there is no file.
    ///
    /// # Errors
    /// If the file can't be read or has another format.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match read_regular(path, USAGE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            json => Ok(Some(serde_json::from_slice(&json?)?)),
        }
    }

    /// Writes `path` by way of a temporary file in `aside`, a folder on the same disk: it is never
    /// incomplete.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) fn write(&self, path: &Path, aside: &Path) -> io::Result<()> {
        let mut file = Builder::new().tempfile_in(aside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}
