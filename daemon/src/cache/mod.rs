//! What was learned and would take time to learn again. Nothing here is the only copy of a truth:
//! files tell what they are, manifests tell what engines are. So no method but
//! [`Store::flush`] fails; what can't be kept is logged and learned again.

mod disk;
mod excerpts;
#[cfg(test)]
mod memory;
mod part;
mod table;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use checkpoint::Id;
use protocol::Finished;

pub use disk::DiskCache;
#[cfg(test)]
pub use memory::MemoryCache;

use crate::{
    inventory::Recall,
    planner::{InUse, Paused, Setback},
};

/// Stores results across restarts of the daemon.
pub trait Store: Recall {
    /// The requested shapes, by signature.
    fn shapes(&self) -> BTreeMap<Id, InUse>;
    /// Stores a signature's requested shapes, or deletes them.
    fn set_shapes(&self, signature: &Id, shapes: Option<&InUse>);
    /// Every engine that is not to be built until it is requested.
    fn setbacks(&self) -> HashMap<Id, Setback>;
    /// Stores or deletes why an engine is not to be built.
    fn set_back(&self, engine: &Id, setback: Option<&Setback>);
    /// Ended builds, the newest first.
    fn history(&self) -> Vec<Finished>;
    /// Stores an ended build, and deletes the oldest of too many.
    fn record(&self, finished: &Finished);
    /// Replaces a checkpoint's weights id in the history.
    fn record_hashed(&self, before: &Id, weights: &Id);
    /// Seconds through which the daemon has lived, in all its lives.
    fn lived_s(&self) -> u64;
    /// Keeps through how many seconds the daemon has lived.
    fn set_lived_s(&self, seconds: u64);
    /// The pause that is in effect.
    fn paused(&self) -> Option<Paused>;
    /// Stores a pause or its end.
    fn set_paused(&self, paused: Option<Paused>);
    /// Returns once everything would survive a power failure.
    ///
    /// # Errors
    /// If it can't be written; it stays in memory, and the next successful call writes it.
    fn flush(&self) -> Result<()>;
    /// Why the cache can't be written at present, in words.
    fn problem(&self) -> Option<String>;
}
