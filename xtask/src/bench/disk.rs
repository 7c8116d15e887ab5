//! A temporary disk in a file.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{folders, process};

/// Dropping it unmounts the disk.
pub(super) struct Disk {
    image: PathBuf,
    place: PathBuf,
}

impl Disk {
    /// Creates an empty disk of this many bytes mounted at `place`; `None` without the permission to mount.
    pub(super) fn new(image: PathBuf, place: PathBuf, bytes: u64) -> Result<Option<Self>> {
        folders::make(&place)?;
        File::create(&image)?.set_len(bytes)?;
        process::run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image))?;
        let disk = Self { image, place };
        Ok(disk.mount().is_ok().then_some(disk))
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Mounts it with strict access times: every read of a file updates its time.
    pub(super) fn mount(&self) -> Result<()> {
        let mut mount = Command::new("mount");
        process::run(mount.args(["-o", "loop,strictatime"]).arg(&self.image).arg(&self.place))
    }

    pub(super) fn unmount(&self) -> Result<()> {
        process::run(Command::new("umount").arg(&self.place))
    }

    /// Returns when each file was last read, in seconds and nanoseconds.
    pub(super) fn last_reads(&self) -> Result<Vec<(i64, i64)>> {
        let mut files: Vec<_> = fs::read_dir(&self.place)?.collect::<Result<_, _>>()?;
        files.sort_unstable_by_key(fs::DirEntry::file_name);
        let files: Vec<_> = files.iter().map(fs::DirEntry::metadata).collect::<Result<_, _>>()?;
        // Skips the folder lost+found.
        let files = files.iter().filter(|metadata| metadata.is_file());
        Ok(files.map(|file| (file.atime(), file.atime_nsec())).collect())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}
