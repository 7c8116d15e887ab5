//! How files leave the catalogue.

use std::{mem, path::Path};

use super::{Catalogue, FileId, Location};

impl Catalogue {
    /// Ends a look at the models folder `dir`: what it has not seen is not there.
    pub fn forget_unseen(&mut self, dir: &Path) {
        self.forget(|location| *location.dir == *dir && !mem::take(&mut location.seen));
    }

    /// What lies in the models folder `dir` can't be seen any more.
    pub fn forget_dir(&mut self, dir: &Path) {
        self.forget(|location| *location.dir == *dir);
    }

    fn forget(&mut self, mut is_gone: impl FnMut(&mut Location) -> bool) {
        let gone = self.locations.extract_if(|_, location| is_gone(location));
        for (path, location) in gone.collect::<Vec<_>>() {
            self.leave(&path, location.file);
        }
    }

    /// Takes in that no file lies at `path`.
    pub fn left(&mut self, path: &Path) {
        if let Some(location) = self.locations.remove(path) {
            self.leave(path, location.file);
        }
    }

    /// Takes in that a file no longer lies at `path`.
    pub(super) fn leave(&mut self, path: &Path, id: FileId) {
        let Some(file) = self.files.get_mut(&id) else { return };
        file.paths.retain(|name| **name != *path);
        if file.paths.is_empty() {
            self.strike(&id);
            self.files.remove(&id);
        }
    }
}
