use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use serde::{Deserialize, Serialize};

use crate::inode;

/// A file on a disk, whatever it is called and holds: device and inode, as [`Stamp`] has them.
pub type FileId = (u64, u64);

/// What a file is known by without reading it. Renaming, moving within a disk and hard-linking
/// keep it; every write changes it. Where inodes don't last, a file is known by its path instead of
/// disk and inode, and every name is a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The disk; 0 where inodes don't last.
    pub device: u64,
    /// The file on that disk; a hash of its path where inodes don't last.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i128,
}

impl Stamp {
    /// The stamp of the file at `path`, links followed.
    ///
    /// # Errors
    /// When there is none, as a folder is none, or it can't be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        if metadata.is_file() {
            Ok(Self::at(path, &metadata))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"))
        }
    }

    /// What tells the file from others, whatever is in it.
    pub fn file(&self) -> FileId {
        (self.device, self.inode)
    }

    /// The stamp of the file at `path`, which has this `metadata`.
    pub fn at(path: &Path, metadata: &fs::Metadata) -> Self {
        let inodes_last = inode::lasts(path, metadata.dev());
        let (device, inode) =
            if inodes_last { (metadata.dev(), metadata.ino()) } else { (0, hash(path)) };
        Self {
            device,
            inode,
            size: metadata.size(),
            mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }
}

fn hash(path: &Path) -> u64 {
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_files_apart() {
        let [a, b] = ["/net/a.safetensors", "/net/b.safetensors"].map(|path| hash(Path::new(path)));
        assert!(a != b && a == hash(Path::new("/net/a.safetensors")));
        assert!(a > u64::from(u32::MAX) && b > u64::from(u32::MAX), "all of its bits count");
    }
}
