//! Counts the files in some folders that any process opens, by inotify: no file can be read without that.

use std::{collections::BTreeSet, mem::MaybeUninit, os::fd::OwnedFd, path::Path};

use anyhow::{Context, Result};
use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    io::Errno,
};

pub(super) struct Opens(OwnedFd);

impl Opens {
    /// Starts watching the files directly in these folders.
    pub(super) fn of<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        for dir in dirs {
            inotify::add_watch(&fd, dir, WatchFlags::OPEN)
                .with_context(|| format!("cannot watch {}", dir.display()))?;
        }
        Ok(Self(fd))
    }

    /// Returns how many different files were opened since. Listing a folder does not count.
    pub(super) fn count(self) -> Result<usize> {
        let mut buffer = [MaybeUninit::uninit(); 64 << 10];
        let mut reader = Reader::new(self.0, &mut buffer);
        let mut opened = BTreeSet::new();
        loop {
            let event = match reader.next() {
                Err(Errno::AGAIN) => return Ok(opened.len()),
                event => event?,
            };
            // An overflow has no name, and stands for thousands.
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                return Ok(usize::MAX);
            }
            if let Some(name) = event.file_name()
                && !event.events().contains(ReadFlags::ISDIR)
            {
                opened.insert((event.wd(), name.to_owned()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn files_count_once_and_looks_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        for path in [&one, &other] {
            fs::write(path, "x").unwrap();
        }
        let opens = Opens::of([dir.path()]).unwrap();
        fs::read_dir(dir.path()).unwrap().for_each(drop);
        fs::metadata(&other).unwrap();
        fs::rename(&other, dir.path().join("another")).unwrap();
        File::open(&one).unwrap();
        File::open(&one).unwrap();
        assert_eq!(opens.count().unwrap(), 1);
    }
}
