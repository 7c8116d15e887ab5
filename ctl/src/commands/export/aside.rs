//! Files that are written aside before they take their place, so that none is ever visible incomplete.
//!
//! Where the file system can, such a file has no name until it is complete: then nothing is left of an export that is
//! interrupted, however it ends. Elsewhere the next export into the folder deletes what is left.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat, open};
use tempfile::{Builder, NamedTempFile};

/// What the names of unfinished files begin with.
pub(super) const PREFIX: &str = ".sdtrtctl-";

/// Where a file without a name can get one.
const DESCRIPTORS: &str = "/proc/self/fd";

/// A file that has not taken its place yet. It is locked, so that no other export deletes it.
pub(super) struct Aside {
    dir: PathBuf,
    kind: Kind,
}

enum Kind {
    Unnamed(File),
    Named(NamedTempFile),
}

impl Aside {
    /// Makes an empty one in `dir`, with these rights less the umask's.
    pub(super) fn new(dir: &Path, mode: u32) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        match open(dir, flags, Mode::from_raw_mode(mode)) {
            Ok(file) if Path::new(DESCRIPTORS).is_dir() => {
                let file = File::from(file);
                lock(&file);
                Ok(Self { dir: dir.to_owned(), kind: Kind::Unnamed(file) })
            }
            _ => Self::named(dir, mode),
        }
    }

    fn named(dir: &Path, mode: u32) -> io::Result<Self> {
        let rights = Permissions::from_mode(mode);
        let file = Builder::new().prefix(PREFIX).permissions(rights).tempfile_in(dir)?;
        lock(file.as_file());
        Ok(Self { dir: dir.to_owned(), kind: Kind::Named(file) })
    }

    pub(super) fn file(&self) -> &File {
        match &self.kind {
            Kind::Unnamed(file) => file,
            Kind::Named(file) => file.as_file(),
        }
    }

    /// Syncs it and moves it to `place`, which is in its folder.
    pub(super) fn persist(self, place: &Path) -> io::Result<()> {
        self.file().sync_all()?;
        match self.kind {
            Kind::Named(file) => file.persist(place).map(drop).map_err(|error| error.error),
            Kind::Unnamed(file) => {
                // A new name can't replace an old one, so it takes two steps.
                let this = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
                let name =
                    |path: &Path| Ok(linkat(CWD, &this, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
                let named = Builder::new().prefix(PREFIX).make_in(&self.dir, name)?;
                named.persist(place).map(drop).map_err(|error| error.error)
            }
        }
    }
}

/// Without locks, as on some network file systems, nothing is deleted either.
fn lock(file: &File) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Deletes what interrupted exports have left in `dir`; what can't be deleted stays.
pub(super) fn clean(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if File::open(entry.path()).is_ok_and(|file| lock(&file)) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn what_is_complete_takes_its_place() {
        for make in [Aside::new, Aside::named] {
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join("x");
            fs::write(&place, "older").unwrap();
            let aside = make(dir.path(), 0o600).unwrap();
            aside.file().write_all(b"newer").unwrap();
            assert_eq!(fs::read(&place).unwrap(), b"older");
            clean(dir.path());
            aside.persist(&place).unwrap();
            assert_eq!(fs::read(&place).unwrap(), b"newer");
            let found = fs::metadata(&place).unwrap();
            assert_eq!((found.mode() & 0o777, found.nlink()), (0o600, 1));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
            drop(make(dir.path(), 0o600).unwrap());
            assert_eq!(
                fs::read_dir(dir.path()).unwrap().count(),
                1,
                "one that fails leaves nothing"
            );
        }
    }

    #[test]
    fn what_an_interrupted_export_left_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (left, used) = (at(&format!("{PREFIX}a1b2c3")), at(&format!("{PREFIX}d4e5f6")));
        for path in [&left, &used, &at(".weights"), &at("x.safetensors")] {
            fs::write(path, "x").unwrap();
        }
        fs::create_dir(at(&format!("{PREFIX}folder"))).unwrap();
        let other = File::open(&used).unwrap();
        assert!(lock(&other));
        clean(dir.path());
        assert!(!left.exists() && used.exists(), "another export still writes the other");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
        drop(other);
        clean(dir.path());
        assert!(!used.exists());
    }
}
