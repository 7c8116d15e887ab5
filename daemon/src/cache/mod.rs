//! What was learned and would take time to learn again. Nothing here is the only copy of a truth:
//! files tell what they are, manifests tell what engines are. So no method fails; what can't be
//! kept is logged and learned again.

mod database;
mod disk;
#[cfg(test)]
mod memory;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use checkpoint::Id;
use engine::Parameter;
use protocol::Finished;

pub use disk::Disk;
#[cfg(test)]
pub use memory::Memory;

use crate::{
    inventory::{Outcome, Stamp},
    planner::{InUse, Setback},
};

/// Keeps what was learned from one life of the daemon to the next.
pub trait Store: Send + Sync + 'static {
    /// What reading this file taught.
    fn outcome(&self, stamp: &Stamp) -> Option<Outcome>;
    /// Keeps what reading this file taught.
    fn remember(&self, stamp: &Stamp, outcome: &Outcome);
    /// The tensors of UNets of this signature.
    fn parameters(&self, signature: &Id) -> Option<Vec<Parameter>>;
    /// Whether they are known.
    fn knows_parameters(&self, signature: &Id) -> bool;
    /// Keeps the tensors of UNets of this signature.
    fn set_parameters(&self, signature: &Id, parameters: &[Parameter]);
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
    /// Whether builds are paused.
    fn is_paused(&self) -> bool;
    /// Keeps whether builds are paused.
    fn set_paused(&self, paused: bool);
    /// Where disks were mounted below the models folders.
    fn mounts(&self) -> BTreeSet<PathBuf>;
    /// Keeps where disks are mounted below the models folders.
    fn set_mounts(&self, mounts: &BTreeSet<PathBuf>);
    /// Returns once all of it would survive a power cut.
    fn flush(&self);
}
