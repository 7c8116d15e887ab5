//! Makes this daemon the only user of its data folder.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use engine::is_trouble;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use tracing::warn;

use crate::api::{Lock, lock};

/// A lock that makes this process the only user of a data folder.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    /// The folder itself is locked: a file in it could be deleted.
    folder: File,
    /// For a daemon of an earlier release, which locks only this file.
    _lock: Option<Lock>,
}

impl Claim {
    /// Claims the folder at `path`, and creates it if necessary.
    ///
    /// # Errors
    /// If another daemon has it, or it can't be created.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot use the data folder {}", path.display());
        fs::create_dir_all(path).with_context(cannot)?;
        let folder = File::open(path).with_context(cannot)?;
        let is_locked = match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                bail!("another sdtrtd is running: it holds {}", path.display());
            }
            // NFS can't lock folders, so the file in it must suffice.
            locked => locked.is_ok(),
        };
        let lock = match lock(&path.join("lock")) {
            // The disk may be read-only only for a while.
            Err(error) if is_locked && is_trouble(&error) => {
                warn!("{error:#}");
                None
            }
            other => Some(other.with_context(cannot)?),
        };
        Ok(Self { path: path.to_owned(), folder, _lock: lock })
    }

    /// Returns why the folder at the path is not the one that was claimed, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        let path = self.path.display();
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.folder.metadata().map(id), fs::metadata(&self.path).map(id)) {
            (Ok(own), Ok(there)) if own == there => None,
            (_, Err(error)) => Some(format!("the data folder {path} is away: {error}")),
            _ => Some(format!(
                "the data folder {path} is another one than when sdtrtd started; put it back, or restart sdtrtd"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_kept_out_whatever_happens_to_the_lock_file() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let claim = Claim::take(&data).unwrap();
        for delete in [false, true] {
            if delete {
                fs::remove_file(data.join("lock")).unwrap();
            }
            let second = Claim::take(&data).unwrap_err();
            assert!(format!("{second:#}").contains("another sdtrtd"), "{second:#}");
        }
        assert_eq!(claim.problem(), None);
        fs::rename(&data, dir.path().join("aside")).unwrap();
        assert!(claim.problem().unwrap().contains("is away"));
        let other = Claim::take(&data).unwrap();
        assert!(claim.problem().unwrap().contains("put it back"), "it uses nothing of the other's");
        drop(other);
        fs::remove_dir_all(&data).unwrap();
        fs::rename(dir.path().join("aside"), &data).unwrap();
        assert_eq!(claim.problem(), None);
        drop(claim);
        Claim::take(&data).unwrap();
    }
}
