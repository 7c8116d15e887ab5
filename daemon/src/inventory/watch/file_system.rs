//! Which file systems change without telling.

use std::path::Path;

/// Kinds that other machines change, or programs behind the kernel's back: their numbers in Linux's
/// `magic.h` and in the sources of the file systems.
const TELLS_NOTHING: [u64; 12] = [
    0x6969,      // NFS
    0x517b,      // SMB, the first
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2 and 3
    0x6573_5546, // FUSE: sshfs, rclone and the like
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

/// The number is 32 bits wide, and sign-extended on some machines.
fn tells_nothing(kind: u64) -> bool {
    TELLS_NOTHING.contains(&(kind & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
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
}
