use std::{panic, path::Path};

use anyhow::{Result, anyhow};
use serde::{Serialize, de::DeserializeOwned};
use sled::{Db, Tree};

use crate::planner::Setback;

/// Raise this when the readers or the stored form change, so that files are read again: one that was rejected
/// may be accepted now.
const LESSONS: &str = "5";

/// Raise this when problems of the machine are better distinguished from those of a checkpoint: failures
/// under an older value are retried.
const SETBACKS: &str = "4";

/// Enough for a start; sled's default of 1 GiB is for servers.
const CACHE_BYTES: u64 = 4 << 20;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    db: Db,
    outcomes: Tree,
    places: Tree,
    setbacks: Tree,
    history: Tree,
    parameters: Tree,
    shapes: Tree,
}

/// A tree of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// sled's default tree, which older versions' entries stay in.
    Own,
    Outcomes,
    /// By a hash of the path: the key of the outcome of what lay there last.
    Places,
    Setbacks,
    /// By a growing number: 8 bytes, big-endian.
    History,
    /// By signature.
    Parameters,
    /// By signature.
    Shapes,
}

impl Database {
    /// Opens or creates the database at `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        // A damaged database can make sled panic instead of failing.
        let opened = panic::catch_unwind(|| -> Result<Self> {
            let db = sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                // The daemon flushes when needed; sled's timer would wake an idle machine twice a second.
                .flush_every_ms(None)
                .open()
                .map_err(told)?;
            let setbacks = format!("setbacks.{SETBACKS}");
            keep_removals(&db, &setbacks)?;
            let current = [
                format!("outcomes.{LESSONS}"),
                format!("places.{LESSONS}"),
                setbacks,
                "history".to_owned(),
                format!("parameters.{LESSONS}"),
                "shapes".to_owned(),
            ];
            for name in db.tree_names() {
                let kept = current.iter().any(|tree| name == tree.as_bytes())
                    || name == b"__sled__default";
                if !kept {
                    db.drop_tree(name)?;
                }
            }
            let [outcomes, places, setbacks, history, parameters, shapes] =
                current.map(|name| db.open_tree(name));
            Ok(Self {
                outcomes: outcomes?,
                places: places?,
                setbacks: setbacks?,
                history: history?,
                parameters: parameters?,
                shapes: shapes?,
                db,
            })
        });
        opened.unwrap_or_else(|_| Err(anyhow!("sled panicked on it")))
    }

    pub(super) fn tree(&self, part: Part) -> &Tree {
        match part {
            Part::Own => &self.db,
            Part::Outcomes => &self.outcomes,
            Part::Places => &self.places,
            Part::Setbacks => &self.setbacks,
            Part::History => &self.history,
            Part::Parameters => &self.parameters,
            Part::Shapes => &self.shapes,
        }
    }

    pub(super) fn put(&self, part: Part, key: &[u8], value: Option<&[u8]>) -> sled::Result<()> {
        match value {
            Some(value) => self.tree(part).insert(key, value)?,
            None => self.tree(part).remove(key)?,
        };
        Ok(())
    }

    /// Returns once everything written would survive a power failure.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.db.flush().map(drop)
    }
}

/// Keeps the system's error, if it is one.
fn told(error: sled::Error) -> anyhow::Error {
    match error {
        sled::Error::Io(error) => error.into(),
        other => other.into(),
    }
}

/// Keeps users' removals of engines: they are not failures, and hold whatever release recorded them.
fn keep_removals(db: &Db, current: &str) -> sled::Result<()> {
    for name in db.tree_names() {
        let is_older = name.starts_with(b"setbacks.") && name != current.as_bytes();
        if !is_older {
            continue;
        }
        let now = db.open_tree(current)?;
        for entry in &db.open_tree(&name)? {
            let (engine, setback) = entry?;
            if Part::Setbacks.decode(&setback) == Some(Setback::Removed) {
                now.insert(engine, setback)?;
            }
        }
    }
    Ok(())
}

impl Part {
    /// A start reads thousands of outcomes: their binary form takes a tenth of the time and a third of the
    /// space.
    pub(super) fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>> {
        match self {
            Self::Outcomes | Self::Places | Self::Parameters => Ok(postcard::to_allocvec(value)?),
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                Ok(serde_json::to_vec(value)?)
            }
        }
    }

    /// Returns `None` if the value does not parse.
    pub(super) fn decode<T: DeserializeOwned>(self, value: &[u8]) -> Option<T> {
        match self {
            Self::Outcomes | Self::Places | Self::Parameters => postcard::from_bytes(value).ok(),
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                serde_json::from_slice(value).ok()
            }
        }
    }
}
