use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    panic,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use checkpoint::Id;
use protocol::Finished;
use serde::{Serialize, de::DeserializeOwned};
use sled::{Db, Tree};
use tracing::warn;

use super::Store;
use crate::{
    schedule::{Outcome, Setback},
    watch::Stamp,
};

/// Raised when the readers or the form of what is kept change, so that older lessons are learned
/// again: a file that was rejected may be understood now.
const LESSONS: &str = "1";

/// In the database's own tree, which outlives older lessons.
const PAUSED: &[u8] = b"paused";
const MOUNTS: &[u8] = b"mounts";

/// Ended builds that are kept.
const HISTORY: usize = 1000;

/// Enough for what a start-up reads; the default of 1 GiB is for databases that serve.
const CACHE_BYTES: u64 = 4 << 20;

/// A sled database in the data folder.
#[derive(Debug)]
pub struct Disk {
    db: Db,
    outcomes: Tree,
    setbacks: Tree,
    /// By a number that grows, 8 bytes, big-endian.
    history: Tree,
}

impl Disk {
    /// Opens or makes the database at `dir`. A broken one is made anew. The data folder must be
    /// locked by the caller.
    ///
    /// # Errors
    /// When not even a new one can be made, as on a full disk.
    pub fn open(dir: &Path) -> Result<Self> {
        try_open(dir).or_else(|error| {
            warn!("{} can't be used and is made anew: {error:#}", dir.display());
            fs::remove_dir_all(dir).with_context(|| format!("cannot clear {}", dir.display()))?;
            try_open(dir).with_context(|| format!("cannot make {}", dir.display()))
        })
    }

    /// What `tree` holds under `key`; entries that no longer parse count as absent.
    fn get<T: DeserializeOwned>(tree: &Tree, key: &[u8]) -> Option<T> {
        let found = tree.get(key).inspect_err(|error| warn!("reading what was learned: {error}"));
        serde_json::from_slice(&found.ok()??).ok()
    }

    fn put<T: Serialize>(tree: &Tree, key: &[u8], value: Option<&T>) {
        let result = match value {
            Some(value) => serde_json::to_vec(value)
                .map_err(anyhow::Error::from)
                .and_then(|json| Ok(tree.insert(key, json)?)),
            None => tree.remove(key).map_err(anyhow::Error::from),
        };
        if let Err(error) = result {
            warn!("what was learned can't be kept and will be learned again: {error}");
        }
    }
}

fn try_open(dir: &Path) -> Result<Disk> {
    // A damaged database can make sled panic and not only fail.
    let opened = panic::catch_unwind(|| -> Result<Disk> {
        let db = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            // The daemon flushes when there is something to flush; sled's timer would wake an
            // idle machine twice a second.
            .flush_every_ms(None)
            .open()?;
        let current =
            [format!("outcomes.{LESSONS}"), format!("setbacks.{LESSONS}"), "history".to_owned()];
        for name in db.tree_names() {
            let kept =
                current.iter().any(|tree| name == tree.as_bytes()) || name == b"__sled__default";
            if !kept {
                db.drop_tree(name)?;
            }
        }
        let [outcomes, setbacks, history] = current.map(|name| db.open_tree(name));
        Ok(Disk { outcomes: outcomes?, setbacks: setbacks?, history: history?, db })
    });
    opened.unwrap_or_else(|_| Err(anyhow!("sled panicked on it")))
}

impl Store for Disk {
    fn outcome(&self, stamp: &Stamp) -> Option<Outcome> {
        Self::get(&self.outcomes, &key(stamp))
    }

    fn remember(&self, stamp: &Stamp, outcome: &Outcome) {
        Self::put(&self.outcomes, &key(stamp), Some(outcome));
    }

    fn setbacks(&self) -> HashMap<Id, Setback> {
        let entries = self.setbacks.iter().flatten();
        entries
            .filter_map(|(key, value)| {
                let id = std::str::from_utf8(&key).ok()?.parse().ok()?;
                Some((id, serde_json::from_slice(&value).ok()?))
            })
            .collect()
    }

    fn set_back(&self, engine: &Id, setback: Option<&Setback>) {
        Self::put(&self.setbacks, engine.to_string().as_bytes(), setback);
    }

    fn history(&self) -> Vec<Finished> {
        let newest_first = self.history.iter().values().rev().flatten();
        newest_first.filter_map(|value| serde_json::from_slice(&value).ok()).collect()
    }

    fn record(&self, finished: &Finished) {
        let last = self.history.last().ok().flatten();
        let number = |key: &[u8]| key.try_into().map(u64::from_be_bytes).unwrap_or(0);
        let next = last.map_or(0, |(key, _)| number(&key).saturating_add(1));
        Self::put(&self.history, &next.to_be_bytes(), Some(finished));
        if self.history.len() > HISTORY
            && let Err(error) = self.history.pop_min()
        {
            warn!("the history can't be shortened: {error}");
        }
    }

    fn is_paused(&self) -> bool {
        Self::get(&self.db, PAUSED).unwrap_or(false)
    }

    fn set_paused(&self, paused: bool) {
        Self::put(&self.db, PAUSED, paused.then_some(&true));
    }

    fn mounts(&self) -> BTreeSet<PathBuf> {
        let mounts: Vec<Vec<u8>> = Self::get(&self.db, MOUNTS).unwrap_or_default();
        mounts.into_iter().map(|path| OsString::from_vec(path).into()).collect()
    }

    fn set_mounts(&self, mounts: &BTreeSet<PathBuf>) {
        // Paths need not be text.
        let mounts: Vec<&[u8]> = mounts.iter().map(|path| path.as_os_str().as_bytes()).collect();
        Self::put(&self.db, MOUNTS, Some(&mounts));
    }

    fn flush(&self) {
        if let Err(error) = self.db.flush() {
            warn!("what was learned can't be kept and will be learned again: {error}");
        }
    }
}

fn key(stamp: &Stamp) -> Vec<u8> {
    let mut key = Vec::with_capacity(40);
    for field in [stamp.device, stamp.inode, stamp.size] {
        key.extend(field.to_be_bytes());
    }
    key.extend(stamp.mtime_ns.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { device: 1, inode: 2, size: 3, mtime_ns: -4 };

    #[test]
    fn keeps_what_was_learned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("learned");
        let outcome = Outcome::Rejected("a LoRA".into());
        let engine = Id::from(blake3::hash(b"engine"));
        {
            let store = Disk::open(&path).unwrap();
            store.remember(&STAMP, &outcome);
            store.set_back(&engine, Some(&Setback::Removed));
            store.set_paused(true);
            store.set_mounts(&["/m/disk".into()].into());
            store.flush();
        }
        let store = Disk::open(&path).unwrap();
        assert_eq!(store.outcome(&STAMP), Some(outcome));
        assert_eq!(store.outcome(&Stamp { inode: 5, ..STAMP }), None);
        assert_eq!(store.setbacks(), HashMap::from([(engine, Setback::Removed)]));
        assert!(store.is_paused());
        assert_eq!(store.mounts(), ["/m/disk".into()].into());
        store.set_paused(false);
        assert!(!store.is_paused());
        store.set_back(&engine, None);
        assert!(store.setbacks().is_empty());
    }

    #[test]
    fn the_newest_of_the_history_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Disk::open(dir.path()).unwrap();
        let ended = |ended_at| Finished {
            engine: "e".into(),
            weights_id: "w".into(),
            location: "/m/a".into(),
            preset: "default".into(),
            outcome: protocol::Outcome::Built,
            reason: None,
            seconds: 1,
            bytes: None,
            ended_at,
        };
        let all = HISTORY as u64 + 3;
        (0..all).for_each(|time| store.record(&ended(time)));
        let times: Vec<_> = store.history().iter().map(|finished| finished.ended_at).collect();
        assert_eq!(times, (3..all).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_database_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("learned");
        drop(Disk::open(&path).unwrap());
        fs::write(path.join("conf"), "garbage").unwrap();
        fs::write(path.join("db"), [7; 4096]).unwrap();
        let store = Disk::open(&path).unwrap();
        assert_eq!(store.outcome(&STAMP), None);
    }
}
