use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{FileId, Stamp};

/// Files whose content is to be hashed, the newest first, and those that are.
#[derive(Debug, Default)]
pub(super) struct Unhashed {
    files: BTreeSet<(Reverse<i128>, FileId)>,
    /// Of all of them.
    bytes: u64,
    /// What somebody waits for.
    first: Option<FileId>,
    /// By disk: reading two at once takes a disk longer than one after the other.
    started: BTreeMap<u64, FileId>,
}

impl Unhashed {
    pub(super) fn insert(&mut self, stamp: &Stamp) {
        if self.files.insert((Reverse(stamp.mtime_ns), stamp.file())) {
            self.bytes += stamp.size;
        }
    }

    /// Its content is known, or is not what is wanted any more. Its disk is busy until [`Self::end`].
    pub(super) fn remove(&mut self, stamp: &Stamp) {
        if self.files.remove(&(Reverse(stamp.mtime_ns), stamp.file())) {
            self.bytes -= stamp.size;
        }
    }

    /// Starts with one file of each disk that is not busy.
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

    /// This file comes before all others.
    pub(super) fn put_first(&mut self, file: FileId) {
        self.first = Some(file);
    }

    /// This file is not being hashed any more.
    pub(super) fn end(&mut self, stamp: &Stamp) {
        self.started.retain(|_, file| *file != stamp.file());
    }

    /// How many there are, and their bytes.
    pub(super) fn count(&self) -> (usize, u64) {
        (self.files.len(), self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &FileId> {
        self.files.iter().map(|(_, file)| file)
    }

    /// Those that are being hashed.
    pub(super) fn started(&self) -> impl Iterator<Item = &FileId> {
        self.started.values()
    }
}
