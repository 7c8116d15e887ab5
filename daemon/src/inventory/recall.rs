use std::{collections::BTreeSet, path::PathBuf};

use checkpoint::{Id, Stamp};
use engine::Parameter;

use super::Outcome;

/// What was learned of files and disks, and outlives the daemon.
pub trait Recall: Send + Sync + 'static {
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
    /// Where disks were mounted below the models folders.
    fn mounts(&self) -> BTreeSet<PathBuf>;
    /// Keeps where disks are mounted below the models folders.
    fn set_mounts(&self, mounts: &BTreeSet<PathBuf>);
}
