use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
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
    }

    /// Starts with one file on each disk that is not busy.
    pub(super) fn start(&mut self) -> Vec<FileId> {
        let mut started = Vec::new();
        let first = self.first.filter(|first| self.files().any(|file| file == first));
        for file in first.iter().chain(self.files.iter().map(|(_, file)| file)) {
            if let std::collections::btree_map::Entry::Vacant(disk) = self.started.entry(file.0) {
                disk.insert(*file);
                started.push(*file);
            }
        }
        started
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
