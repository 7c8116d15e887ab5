use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use super::{FileId, Stamp};

/// Files whose content is to be hashed, the newest first, and those being hashed.
#[derive(Debug, Default)]
pub(super) struct Unhashed {
    files: BTreeSet<(Reverse<i128>, FileId)>,
    /// The bytes of all of them.
    bytes: u64,
    /// The file that someone waits for.
    first: Option<FileId>,
    /// Files that another machine is reading, and when to ask for them again.
    put_off: BTreeMap<FileId, Instant>,
    /// By disk: reading two files at once takes a disk longer than one after the other.
    started: BTreeMap<u64, FileId>,
}

impl Unhashed {
    pub(super) fn insert(&mut self, stamp: &Stamp) {
        if self.files.insert((Reverse(stamp.mtime_ns), stamp.file())) {
            self.bytes += stamp.size;
        }
    }

    /// Removes a file whose content is known or no longer wanted. Its disk is busy until [`Self::end`].
    pub(super) fn remove(&mut self, stamp: &Stamp) {
        if self.files.remove(&(Reverse(stamp.mtime_ns), stamp.file())) {
            self.bytes -= stamp.size;
        }
        self.put_off.remove(&stamp.file());
    }

    /// Starts with one file on each disk that is not busy.
    pub(super) fn start(&mut self, now: Instant) -> Vec<FileId> {
        self.put_off.retain(|_, until| *until > now);
        let mut started = Vec::new();
        let first = self.first.filter(|first| self.files().any(|file| file == first));
        let is_due = |file: &&FileId| !self.put_off.contains_key(file);
        for file in first.iter().chain(self.files.iter().map(|(_, file)| file)).filter(is_due) {
            if let std::collections::btree_map::Entry::Vacant(disk) = self.started.entry(file.0) {
                disk.insert(*file);
                started.push(*file);
            }
        }
        started
    }

    /// Has this file, which was started with, wait until then.
    pub(super) fn put_off(&mut self, file: FileId, until: Instant) {
        if self.files().any(|known| *known == file) {
            self.put_off.insert(file, until);
        }
    }

    /// When the next file that was put off is due.
    pub(super) fn next_put_off(&self) -> Option<Instant> {
        self.put_off.values().min().copied()
    }

    /// Puts this file before all others.
    pub(super) fn put_first(&mut self, file: FileId) {
        self.first = Some(file);
    }

    /// Records that this file is no longer being hashed.
    pub(super) fn end(&mut self, stamp: &Stamp) {
        self.started.retain(|_, file| *file != stamp.file());
    }

    /// The number of files, and their bytes.
    pub(super) fn count(&self) -> (usize, u64) {
        (self.files.len(), self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &FileId> {
        self.files.iter().map(|(_, file)| file)
    }

    /// The files being hashed.
    pub(super) fn started(&self) -> impl Iterator<Item = &FileId> {
        self.started.values()
    }
}
