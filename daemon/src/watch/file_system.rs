//! Which file systems change without telling.

use std::path::Path;

const FUSE: u64 = 0x6573_5546;

/// Kinds that other machines change, or programs behind the kernel's back: their numbers in Linux's
/// `magic.h` and in the sources of the file systems.
const TELLS_NOTHING: [u64; 12] = [
    0x6969,      // NFS
    0x517b,      // SMB, the first
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2 and 3
    FUSE,        // sshfs, rclone and the like
    0x0102_1997, // 9P: shares of virtual machines, WSL
    0x6a65_6a63, // virtiofs, in some kernels
    0x786f_4256, // VirtualBox's shared folders
    0xbacb_acbc, // VMware's shared folders
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0bd0_0bd0, // Lustre
];

/// Whether files below `folder` may change without an event.
pub(super) fn changes_silently(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|stat| tells_nothing(stat.f_type as u64))
}

/// Whether a file keeps its inode, and no other gets it, for as long as it is there. `device` is that of
/// the file at `path`.
pub(super) fn inodes_last(path: &Path, device: u64) -> bool {
    last(device, || rustix::fs::statfs(path).ok().map(|stat| stat.f_type as u64))
}

/// sshfs and the like number files as they are asked for, so that another has the number after the next
/// mount; where times are whole seconds too, nothing else would tell files of one size apart. What is
/// on a disk of this machine, which has a driver's number, is not asked for its `kind`.
fn last(device: u64, kind: impl FnOnce() -> Option<u64>) -> bool {
    rustix::fs::major(device) != 0 || kind().is_none_or(|kind| kind & 0xffff_ffff != FUSE)
}

/// The number is 32 bits wide, and sign-extended on some machines.
fn tells_nothing(kind: u64) -> bool {
    TELLS_NOTHING.contains(&(kind & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn network_and_user_space_file_systems_are_known() {
        for (kind, silent) in [
            (0x6969, true),
            (0xff53_4d42, true),
            (0xffff_ffff_ff53_4d42, true),
            (0x6573_5546, true),
            (0xef53, false),      // ext4
            (0x9123_683e, false), // btrfs
            (0x0102_1994, false), // tmpfs
        ] {
            assert_eq!(tells_nothing(kind), silent, "{kind:#x}");
        }
        assert!(!changes_silently(Path::new("/nowhere")));
    }

    #[test]
    fn inodes_of_fuse_without_a_disk_do_not_last() {
        for (device, kind, lasts) in [
            (rustix::fs::makedev(0, 55), FUSE, false),       // sshfs
            (rustix::fs::makedev(8, 1), FUSE, true),         // ntfs-3g
            (rustix::fs::makedev(0, 55), 0x6969, true),      // NFS
            (rustix::fs::makedev(0, 55), 0x0102_1994, true), // tmpfs
        ] {
            assert_eq!(last(device, || Some(kind)), lasts, "{device:#x} {kind:#x}");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(inodes_last(here, here.metadata().unwrap().dev()));
    }
}
