//! On which file systems inode numbers are permanent.

use std::path::Path;

/// Linux's `magic.h`.
const FUSE: u64 = 0x6573_5546;

/// Whether a file keeps its inode number, and no other file gets it, as long as the file exists. `device` is
/// that of the file at `path`.
pub(crate) fn lasts(path: &Path, device: u64) -> bool {
    lasts_on(device, || rustix::fs::statfs(path).ok().map(|stat| stat.f_type as u64))
}

/// FUSE file systems without a disk, such as sshfs, number files on demand, so another file has the number
/// after the next mount; if times are whole seconds too, nothing distinguishes files of equal size. A device
/// with a driver's number is a local disk, so its `kind` is not queried.
fn lasts_on(device: u64, kind: impl FnOnce() -> Option<u64>) -> bool {
    rustix::fs::major(device) != 0 || kind().is_none_or(|kind| kind & 0xffff_ffff != FUSE)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn inodes_of_fuse_without_a_disk_do_not_last() {
        for (device, kind, lasts) in [
            (rustix::fs::makedev(0, 55), FUSE, false),       // sshfs
            (rustix::fs::makedev(8, 1), FUSE, true),         // ntfs-3g
            (rustix::fs::makedev(0, 55), 0x6969, true),      // NFS
            (rustix::fs::makedev(0, 55), 0x0102_1994, true), // tmpfs
        ] {
            assert_eq!(lasts_on(device, || Some(kind)), lasts, "{device:#x} {kind:#x}");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(lasts(here, here.metadata().unwrap().dev()));
    }
}
