//! What the kinds of file systems promise of their inodes. `docs/service.md` has the same table for people.

use std::path::Path;

/// What a file's inode number says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inodes {
    /// It is the file's for as long as the file is there, and its ctime tells of every change.
    Last,
    /// As long as the file system stays mounted it is the file's. After that another may have it.
    LastWhileMounted,
    /// It is dealt out as files are asked for.
    Pass,
}

/// A kind's number in Linux's `magic.h` or in its own sources, what its inodes are worth, and whether files
/// may change without an event, as other machines or programs behind the kernel's back change them.
const KINDS: &[(u32, Inodes, bool)] = &[
    (0xef53, Inodes::Last, false),                 // ext2, ext3, ext4
    (0x5846_5342, Inodes::Last, false),            // XFS
    (0x9123_683e, Inodes::Last, false),            // btrfs
    (0x2fc1_2fc1, Inodes::Last, false),            // ZFS
    (0xca45_1a4e, Inodes::Last, false),            // bcachefs
    (0xf2f5_2010, Inodes::Last, false),            // F2FS
    (0x3153_464a, Inodes::Last, false),            // JFS
    (0x0102_1994, Inodes::Last, false),            // tmpfs
    (0x8584_58f6, Inodes::Last, false),            // ramfs
    (0x794c_7630, Inodes::Last, false),            // overlayfs: those of the layers below
    (0x7366_746e, Inodes::Last, false),            // NTFS, the kernel's
    (0x5346_544e, Inodes::Last, false),            // NTFS, the kernel's until 6.8
    (0x482b, Inodes::Last, false),                 // HFS+
    (0x7371_7368, Inodes::Last, false),            // squashfs
    (0xe0f5_e1e2, Inodes::Last, false),            // EROFS
    (0x4d44, Inodes::Pass, false),                 // FAT
    (0x2011_bab0, Inodes::Pass, false),            // exFAT
    (0x6969, Inodes::Last, true),                  // NFS
    (0x00c3_6400, Inodes::Last, true),             // Ceph
    (0x0bd0_0bd0, Inodes::Last, true),             // Lustre
    (0x517b, Inodes::LastWhileMounted, true),      // SMB, the first
    (0xff53_4d42, Inodes::LastWhileMounted, true), // CIFS
    (0xfe53_4d42, Inodes::LastWhileMounted, true), // SMB 2 and 3
    (0x0102_1997, Inodes::LastWhileMounted, true), // 9P: shares of virtual machines, WSL
    (0x5346_414f, Inodes::LastWhileMounted, true), // AFS
    (FUSE, Inodes::Pass, true),                    // sshfs, rclone, virtiofs and the like
    (0x6a65_6a63, Inodes::Pass, true),             // virtiofs, in some kernels
    (0x786f_4256, Inodes::Pass, true),             // VirtualBox's shared folders
    (0xbacb_acbc, Inodes::Pass, true),             // VMware's shared folders
];

const FUSE: u32 = 0x6573_5546;

/// The file system that a file is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileSystem {
    /// The number of its kind; 0 where it is not known.
    pub kind: u32,
    /// Which one it is, from one mount to the next where its kind keeps an id, otherwise its device.
    pub id: u64,
    /// Whether it lies on a disk of this machine, which has a driver's number.
    pub has_driver: bool,
}

impl FileSystem {
    /// That of the file or folder at `path`, which is on `device`.
    pub fn of(path: &Path, device: u64) -> Self {
        let kind = rustix::fs::statfs(path).map_or(0, |found| found.f_type as u32);
        // Most make it of their UUID, some of the device's number, and what has neither leaves it 0.
        let id = rustix::fs::statvfs(path).map_or(0, |found| found.f_fsid);
        let id = if id == 0 { device } else { id };
        Self { kind, id, has_driver: rustix::fs::major(device) != 0 }
    }

    /// What its inodes are worth.
    pub fn inodes(self) -> Inodes {
        // ntfs-3g numbers files as the disk does, others that have a disk as they are asked for: the kernel
        // calls them all the same.
        if self.kind == FUSE && self.has_driver {
            return Inodes::LastWhileMounted;
        }
        self.row().map_or(Inodes::LastWhileMounted, |(_, inodes, _)| *inodes)
    }

    /// Whether its files may change without an event.
    pub fn is_silent(self) -> bool {
        self.row().is_some_and(|(.., is_silent)| *is_silent)
    }

    fn row(self) -> Option<&'static (u32, Inodes, bool)> {
        KINDS.iter().find(|(kind, ..)| *kind == self.kind)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// As `statfs` gave them.
    #[test]
    fn each_kind_promises_what_it_keeps() {
        use Inodes::{Last, LastWhileMounted, Pass};
        for (what, kind, has_driver, inodes, is_silent) in [
            ("sshfs", FUSE, false, Pass, true),
            ("ntfs-3g, exfat-fuse", FUSE, true, LastWhileMounted, true),
            ("NFS", 0x6969, false, Last, true),
            ("CIFS", 0xff53_4d42, false, LastWhileMounted, true),
            ("WSL's /mnt/c", 0x0102_1997, false, LastWhileMounted, true),
            ("tmpfs", 0x0102_1994, false, Last, false),
            ("ext4", 0xef53, true, Last, false),
            ("btrfs", 0x9123_683e, false, Last, false),
            ("overlayfs", 0x794c_7630, false, Last, false),
            ("FAT", 0x4d44, true, Pass, false),
            ("exFAT", 0x2011_bab0, true, Pass, false),
            ("a kind of next year", 0x1234_5678, true, LastWhileMounted, false),
            ("what does not answer", 0, true, LastWhileMounted, false),
        ] {
            let found = FileSystem { kind, id: 1, has_driver };
            assert_eq!((found.inodes(), found.is_silent()), (inodes, is_silent), "{what}");
        }
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let device = here.metadata().unwrap().dev();
        let found = FileSystem::of(here, device);
        assert!(found.kind != 0 && found.id != 0, "{found:?}");
        assert_eq!(FileSystem::of(Path::new("/nowhere"), 7).id, 7);
    }
}
