use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use checkpoint::Excerpt;
use engine::read_regular;
use tracing::debug;

use crate::inventory::ExcerptKey;

/// No excerpt is longer.
const LIMIT: u64 = 64 << 10;

/// Excerpts of large files, each in a file of its own, as they are only read to compare one.
///
/// They are not synced: one that is lost or half-written costs one reading of what it is of, if that is doubted.
#[derive(Debug)]
pub(super) struct Excerpts {
    dir: PathBuf,
    /// What nothing that is to be saved refers to.
    outdated: Mutex<Vec<ExcerptKey>>,
}

impl Excerpts {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, outdated: Mutex::default() }
    }

    /// Keeps one, if it can be written.
    pub(super) fn keep(&self, excerpt: &Excerpt) -> ExcerptKey {
        let bytes = postcard::to_allocvec(excerpt).unwrap_or_default();
        let key = ExcerptKey::of(&bytes);
        let kept = fs::create_dir_all(&self.dir).and_then(|()| fs::write(self.path(&key), bytes));
        if let Err(error) = kept {
            debug!("{}: {error}", self.path(&key).display());
        }
        key
    }

    pub(super) fn get(&self, key: &ExcerptKey) -> Option<Excerpt> {
        let bytes = read_regular(&self.path(key), LIMIT).ok()?;
        let is_intact = ExcerptKey::of(&bytes) == *key;
        postcard::from_bytes(&bytes).ok().filter(|_| is_intact)
    }

    /// One is no longer needed, once everything is saved.
    pub(super) fn record_outdated(&self, key: ExcerptKey) {
        self.outdated().push(key);
    }

    /// Those that were not needed any more.
    pub(super) fn take_outdated(&self) -> Vec<ExcerptKey> {
        std::mem::take(&mut *self.outdated())
    }

    pub(super) fn remove(&self, keys: Vec<ExcerptKey>) {
        for key in keys {
            let _ = fs::remove_file(self.path(&key));
        }
    }

    fn outdated(&self) -> std::sync::MutexGuard<'_, Vec<ExcerptKey>> {
        self.outdated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, key: &ExcerptKey) -> PathBuf {
        self.dir.join(key.to_string())
    }
}
