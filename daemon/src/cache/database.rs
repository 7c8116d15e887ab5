use std::{panic, path::Path};

use anyhow::{Result, anyhow};
use serde::{Serialize, de::DeserializeOwned};
use sled::{Db, Tree};

use crate::planner::Setback;

/// Raised when the readers or the form of what is kept change, so that older lessons are learned
/// again: a file that was rejected may be understood now.
const LESSONS: &str = "4";

/// Raised when what is wrong with the machine is told better from what is wrong with a checkpoint: what failed under
/// an older one is tried again.
const SETBACKS: &str = "4";

/// Enough for what a start-up reads; the default of 1 GiB is for databases that serve.
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
    /// Its own, which outlives older lessons.
    Own,
    Outcomes,
    /// By a hash of the path: the key of the outcome of what lay there last.
    Places,
    Setbacks,
    /// By a number that grows, 8 bytes, big-endian.
    History,
    /// By signature.
    Parameters,
    /// By signature.
    Shapes,
}

impl Database {
    /// Opens or makes the one at `dir`.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        // A damaged database can make sled panic and not only fail.
        let opened = panic::catch_unwind(|| -> Result<Self> {
            let db = sled::Config::new()
                .path(dir)
                .cache_capacity(CACHE_BYTES)
                // The daemon flushes when there is something to flush; sled's timer would wake an
                // idle machine twice a second.
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

    /// Returns once all of it would survive a power cut.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.db.flush().map(drop)
    }
}

/// With the system's error as such, where it is one.
fn told(error: sled::Error) -> anyhow::Error {
    match error {
        sled::Error::Io(error) => error.into(),
        other => other.into(),
    }
}

/// Takes over that people removed engines: that is no failure, and holds whatever release wrote it down.
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
    /// Outcomes are thousands, which a start reads: in their binary form they take a tenth of the time and
    /// a third of the room.
    pub(super) fn encode<T: Serialize>(self, value: &T) -> Result<Vec<u8>> {
        match self {
            Self::Outcomes | Self::Places | Self::Parameters => Ok(postcard::to_allocvec(value)?),
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                Ok(serde_json::to_vec(value)?)
            }
        }
    }

    /// `None` for what does not parse.
    pub(super) fn decode<T: DeserializeOwned>(self, value: &[u8]) -> Option<T> {
        match self {
            Self::Outcomes | Self::Places | Self::Parameters => postcard::from_bytes(value).ok(),
            Self::Own | Self::Setbacks | Self::History | Self::Shapes => {
                serde_json::from_slice(value).ok()
            }
        }
    }
}
