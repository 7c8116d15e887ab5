//! Which disk lies at a folder.

use std::{os::unix::ffi::OsStrExt, path::Path};

use rustix::fs::{AtFlags, CWD, StatxFlags, statvfs, statx};
use serde::{Deserialize, Serialize};

use super::mount_table::MountTable;

/// What tells the disk at a folder from another that takes its place, and from the bare folder that is left
/// without one: its file system, and the folder of it that is mounted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    file_system: u64,
    root: Vec<u8>,
}

impl Disk {
    /// The one that `folder` is on; `None` where the kernel does not say.
    pub(super) fn of(folder: &Path, table: &MountTable) -> Option<Self> {
        let file_system = statvfs(folder).ok()?.f_fsid;
        let mount = table.by_id(mount_id(folder)?);
        let root = mount.map(|mount| mount.root.as_os_str().as_bytes().to_vec());
        Some(Self { file_system, root: root.unwrap_or_default() })
    }

    /// One that is told from others by this name.
    #[cfg(test)]
    pub(crate) fn named(name: &str) -> Self {
        Self { file_system: 7, root: name.into() }
    }
}

/// The mount that `path` is on; 0 where the kernel is too old to say.
pub(super) fn mount_id(path: &Path) -> Option<u64> {
    Some(statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?.stx_mnt_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_disk_are_on_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let table = MountTable::read();
        let disk = |path: &Path| Disk::of(path, &table);
        assert_eq!(disk(dir.path()), disk(dir.path().parent().unwrap()));
        assert_ne!(disk(dir.path()), disk(Path::new("/proc")));
        assert_eq!(disk(&dir.path().join("gone")), None);
    }
}
