use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use serde::{Deserialize, Serialize};

use crate::inode;

/// Identifies a file on a disk, whatever its name and content: device and inode, as in [`Stamp`].
pub type FileId = (u64, u64);

/// What identifies a file's content without reading it. Renaming, moving within a disk and hard-linking keep
/// it; every write changes it. If inode numbers are not permanent, the path takes the place of device and
/// inode, so every name is a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The device; 0 if inode numbers are not permanent.
    pub device: u64,
    /// The inode on that device; a hash of the path if inode numbers are not permanent.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// The modification time, in nanoseconds since 1970.
    pub mtime_ns: i128,
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
    fn files_are_distinguished_by_path() {
        let [a, b] = ["/net/a.safetensors", "/net/b.safetensors"].map(|path| hash(Path::new(path)));
        assert!(a != b && a == hash(Path::new("/net/a.safetensors")));
        assert!(a > u64::from(u32::MAX) && b > u64::from(u32::MAX), "all of its bits count");
    }
}
