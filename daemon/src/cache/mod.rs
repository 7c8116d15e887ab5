//! What was learned and would take time to learn again. Nothing here is the only copy of a truth:
//! files tell what they are, manifests tell what engines are. So no method but
//! [`Store::flush`] fails; what can't be kept is logged and learned again.

mod database;
mod disk;
#[cfg(test)]
mod memory;

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use checkpoint::Id;
use protocol::Finished;

pub use disk::Disk;
#[cfg(test)]
pub use memory::Memory;

use crate::{
    inventory::Recall,
    planner::{InUse, Setback},
};

/// Keeps what was learned from one life of the daemon to the next.
pub trait Store: Recall {
    /// The shapes that are asked for, by signature.
    fn shapes(&self) -> BTreeMap<Id, InUse>;
    /// Keeps the shapes that are asked for of a signature, or forgets them.
    fn set_shapes(&self, signature: &Id, shapes: Option<&InUse>);
    /// Every engine that is not to be built until asked for.
    fn setbacks(&self) -> HashMap<Id, Setback>;
    /// Keeps or clears why an engine is not to be built.
    fn set_back(&self, engine: &Id, setback: Option<&Setback>);
    /// Builds that have ended, the newest first.
    fn history(&self) -> Vec<Finished>;
    /// Keeps that a build has ended; the oldest of many is forgotten.
    fn record(&self, finished: &Finished);
    /// A checkpoint of builds that have ended has this weights id from now on.
    fn record_hashed(&self, before: &Id, weights: &Id);
    /// Seconds through which the daemon has lived, in all its lives.
    fn lived_s(&self) -> u64;
    /// Keeps through how many seconds the daemon has lived.
    fn set_lived_s(&self, seconds: u64);
    /// Whether builds are paused.
    fn is_paused(&self) -> bool;
    /// Keeps whether builds are paused.
    fn set_paused(&self, paused: bool);
    /// Returns once all of it would survive a power cut.
    ///
    /// # Errors
    /// When it can't be written; it is kept in memory, and written by the next call that can.
    fn flush(&self) -> Result<()>;
    /// Why what was learned can't be written at present, for people to read.
    fn problem(&self) -> Option<String>;
}
