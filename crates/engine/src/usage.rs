use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use tempfile::Builder;

/// How an engine is used: kept beside its manifest as `KEY.usage`, and unlike that it changes.
/// Times are seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// When it was last built, taken up again by a checkpoint that returned, or asked for.
    pub last_used: u64,
    /// It is kept whatever comes.
    pub pinned: bool,
    /// Since when no file has its UNet.
    pub orphaned_since: Option<u64>,
}

impl Usage {
    /// Of an engine that was built at this time, and nothing more.
    pub fn since(built_at: u64) -> Self {
        Self { last_used: built_at, pinned: false, orphaned_since: None }
    }

    /// What is kept at `path`; `None` where nothing is.
    ///
    /// # Errors
    /// When the file can't be read or is not of this form.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            json => Ok(Some(serde_json::from_slice(&json?)?)),
        }
    }

    /// Puts it at `path`, by way of the folder `aside` on the same disk: a pin is whole or not
    /// there.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn write(&self, path: &Path, aside: &Path) -> io::Result<()> {
        let mut file = Builder::new().tempfile_in(aside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}
