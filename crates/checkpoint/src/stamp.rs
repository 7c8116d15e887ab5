use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::file_system::{FileSystem, Inodes};

/// Identifies a file on a disk, whatever its name and content: device and inode, as in [`Stamp`].
pub type FileId = (u64, u64);

/// What can be told of a file without reading it. Where inodes pass, a file is known by its path instead of
/// disk and inode, and every name is a file of its own.
///
/// Only what says which file in which version is meant goes to the worker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp {
    /// The disk; 0 where inodes pass.
    pub device: u64,
    /// The file on that disk; a hash of its path where inodes pass.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970. Anybody may set it to anything.
    pub mtime_ns: i128,
    /// Last change of the content, a name, an owner or anything else, in nanoseconds since 1970. Only the
    /// kernel sets it.
    #[serde(skip)]
    pub changed_ns: i128,
    /// When it was made, in nanoseconds since 1970; 0 where that is not kept.
    #[serde(skip)]
    pub born_ns: i128,
    /// What it is on.
    #[serde(skip)]
    pub file_system: FileSystem,
}

impl Stamp {
    /// Returns the stamp of the file at `path`, following links.
    ///
    /// # Errors
    /// If there is none, it is a folder, or its metadata can't be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if metadata.is_file() {
            Ok(Self::at(path, &metadata))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"))
        }
    }

    /// Identifies the file, whatever its content.
    pub fn file(&self) -> FileId {
        (self.device, self.inode)
    }

    /// Returns the stamp of the file at `path` with this `metadata`.
    pub fn at(path: &Path, metadata: &fs::Metadata) -> Self {
        Self::on(FileSystem::of(path, metadata.dev()), path, metadata)
    }

    /// The stamp of the file at `path`, which is on `file_system` and has this `metadata`.
    pub fn on(file_system: FileSystem, path: &Path, metadata: &fs::Metadata) -> Self {
        let (device, inode) = match file_system.inodes() {
            Inodes::Pass => (0, hash(path)),
            Inodes::Last | Inodes::LastWhileMounted => (metadata.dev(), metadata.ino()),
        };
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        Self {
            device,
            inode,
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            born_ns: born.map_or(0, |born| born.as_nanos().cast_signed()),
            file_system,
        }
    }

    /// Whether this is the same file, of the same length and time. Renaming, moving within a disk and
    /// hard-linking keep that, and so does whoever writes to it and puts its time back.
    pub fn is_same_version(&self, other: &Self) -> bool {
        let version = |stamp: &Self| (stamp.file(), stamp.size, stamp.mtime_ns);
        version(self) == version(other) && self.may_be_born_with(other)
    }

    /// Whether a file that is known by its path is this one under another name.
    pub fn may_be_renamed(&self, other: &Self) -> bool {
        let version = |stamp: &Self| (stamp.file_system, stamp.size, stamp.mtime_ns);
        version(self) == version(other) && self.may_be_born_with(other)
    }

    /// An inode that is free is handed out again.
    fn may_be_born_with(&self, other: &Self) -> bool {
        self.born_ns == other.born_ns || self.born_ns == 0 || other.born_ns == 0
    }
}

/// A number for a path.
fn hash(path: &Path) -> u64 {
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_distinguished_by_path() {
        let [a, b] = ["/net/a.safetensors", "/net/b.safetensors"].map(|path| hash(Path::new(path)));
        assert!(a != b && a == hash(Path::new("/net/a.safetensors")));
        assert!(a > u64::from(u32::MAX) && b > u64::from(u32::MAX), "all of its bits count");
    }

    #[test]
    fn where_inodes_pass_the_path_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "x").unwrap();
        let metadata = path.metadata().unwrap();
        let on = |kind| FileSystem { kind, id: 1, has_driver: true };
        let [fat, ext4] = [0x4d44, 0xef53].map(|kind| Stamp::on(on(kind), &path, &metadata));
        assert_eq!(fat.file(), (0, hash(&path)));
        assert_eq!(ext4.file(), (metadata.dev(), metadata.ino()));
        assert!(fat.changed_ns > 0 && fat.mtime_ns > 0);
    }

    #[test]
    fn what_makes_another_version() {
        let old = Stamp { device: 1, inode: 2, size: 3, born_ns: 4, ..Stamp::default() };
        for (what, new, is_same) in [
            ("renamed, or written to with its time put back", Stamp { changed_ns: 9, ..old }, true),
            ("written to", Stamp { mtime_ns: 9, ..old }, false),
            ("longer", Stamp { size: 9, ..old }, false),
            ("another with its inode", Stamp { born_ns: 9, ..old }, false),
            ("one whose birth is not told", Stamp { born_ns: 0, ..old }, true),
            ("another", Stamp { inode: 9, ..old }, false),
        ] {
            assert_eq!(old.is_same_version(&new), is_same, "{what}");
        }
    }
}
