use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use checkpoint::{Excerpt, Id, Inodes, Stamp};
use engine::Parameter;
use serde::{Deserialize, Serialize};

use super::{Disk, Homes, Names, Outcome};

/// What was learned of files and disks, and outlives the daemon.
pub trait Recall: Send + Sync + 'static {
    /// What is known of this file, which lies at `path`: as the same file in the same version, or as what lay
    /// there when its disk had another number.
    fn known(&self, path: &Path, stamp: &Stamp) -> Option<Known>;
    /// Keeps what is known of this file, which lies at `path`.
    fn remember(&self, path: &Path, stamp: &Stamp, known: &Known);
    /// Forgets it: the file has changed, whatever its stamp says.
    fn forget(&self, stamp: &Stamp);
    /// Keeps the excerpt of a large file, and returns what it is kept under.
    fn keep_excerpt(&self, excerpt: &Excerpt) -> ExcerptKey;
    /// An excerpt that was kept, unless it was lost.
    fn excerpt(&self, key: &ExcerptKey) -> Option<Excerpt>;
    /// The names of this file, if it was read for them.
    fn names(&self, stamp: &Stamp) -> Option<Names>;
    /// Keeps them, or forgets them.
    fn set_names(&self, stamp: &Stamp, names: Option<&Names>);
    /// The tensors of UNets of this signature.
    fn parameters(&self, signature: &Id) -> Option<Vec<Parameter>>;
    /// Whether they are known.
    fn knows_parameters(&self, signature: &Id) -> bool;
    /// Keeps the tensors of UNets of this signature.
    fn set_parameters(&self, signature: &Id, parameters: &[Parameter]);
    /// Which disks were found at which places of the models folders.
    fn disks(&self) -> BTreeMap<PathBuf, Disk>;
    /// Keeps which disks are at which places of the models folders.
    fn set_disks(&self, disks: &BTreeMap<PathBuf, Disk>);
    /// Where the contents that engines are for were seen last.
    fn homes(&self) -> Homes;
    /// Keeps where the contents that engines are for were seen last.
    fn set_homes(&self, homes: &Homes);
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// What reading it taught.
    pub outcome: Outcome,
    /// Its [`Stamp::changed_ns`] then.
    pub changed_ns: i128,
    /// Its excerpt, which tells whether it still is what it was; absent where reading it again costs no more.
    pub excerpt: Option<ExcerptKey>,
    /// Since it was read as a whole, nothing but its excerpt was compared.
    pub is_compared: bool,
}

/// What an excerpt is kept under: its own digest, so that it is never another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ExcerptKey(u128);

impl ExcerptKey {
    /// That of an excerpt in this form.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let digest = blake3::hash(bytes);
        Self(digest.as_bytes().iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte)))
    }
}

impl fmt::Display for ExcerptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Known {
    /// Whether something may have been done to the file since, for all that `stamp` tells.
    pub fn is_doubtful(&self, stamp: &Stamp) -> bool {
        stamp.file_system.inodes() != Inodes::Last || self.changed_ns != stamp.changed_ns
    }
}

/// What a version of a file is remembered by, from one mount of its disk to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) Vec<u8>);

/// Bytes of a key that say where the file is; the others say which version it is.
const PLACE: usize = 16;

impl Key {
    pub(crate) fn of(stamp: &Stamp) -> Self {
        let mut key = Vec::with_capacity(PLACE + 40);
        // The device's number may be another tomorrow. Where inodes pass, the path says it all.
        let disk = if stamp.device == 0 { 0 } else { stamp.file_system.id };
        for field in [disk, stamp.inode, stamp.size] {
            key.extend(field.to_be_bytes());
        }
        key.extend(stamp.mtime_ns.to_be_bytes());
        key.extend(stamp.born_ns.to_be_bytes());
        Self(key)
    }

    /// Whether this, which was at a path, may be what is there now: the same version, on a disk that had
    /// another number. On the same disk it is another file.
    pub(crate) fn may_be(&self, now: &Self) -> bool {
        let (before, now) = (&self.0, &now.0);
        before.len() == now.len() && before[PLACE..] == now[PLACE..] && before[..8] != now[..8]
    }
}

#[cfg(test)]
mod tests {
    use checkpoint::FileSystem;

    use super::*;

    fn stamp() -> Stamp {
        let file_system = FileSystem { kind: 0xef53, id: 77, has_driver: true };
        Stamp { device: 1, inode: 2, size: 3, mtime_ns: 4, changed_ns: 5, born_ns: 6, file_system }
    }

    #[test]
    fn what_is_remembered_of_which_file() {
        let old = stamp();
        let on = |id| FileSystem { id, ..old.file_system };
        for (what, now, is_same, may_be) in [
            ("renamed", Stamp { changed_ns: 9, ..old }, true, false),
            ("mounted as another device", Stamp { device: 9, ..old }, true, false),
            ("on a disk with another id", Stamp { file_system: on(9), ..old }, false, true),
            ("written to there", Stamp { file_system: on(9), mtime_ns: 9, ..old }, false, false),
            ("another file", Stamp { inode: 9, ..old }, false, false),
            ("another file with its inode", Stamp { born_ns: 9, ..old }, false, false),
            ("written to", Stamp { mtime_ns: 9, ..old }, false, false),
        ] {
            let (before, now) = (Key::of(&old), Key::of(&now));
            assert_eq!((before == now, before.may_be(&now)), (is_same, may_be), "{what}");
        }
    }

    #[test]
    fn what_is_doubted_of_what_is_remembered() {
        let outcome = Outcome::Rejected("a LoRA".into());
        let known = Known { outcome, changed_ns: 5, excerpt: None, is_compared: false };
        let on = |kind| FileSystem { kind, ..stamp().file_system };
        for (what, now, is_doubtful) in [
            ("nothing was done", stamp(), false),
            ("renamed, linked or written to", Stamp { changed_ns: 9, ..stamp() }, true),
            ("FAT", Stamp { file_system: on(0x4d44), ..stamp() }, true),
            ("a disk of FUSE", Stamp { file_system: on(0x6573_5546), ..stamp() }, true),
        ] {
            assert_eq!(known.is_doubtful(&now), is_doubtful, "{what}");
        }
    }
}
