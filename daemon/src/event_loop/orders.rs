//! Orders of plans with a checkpoint's weights inside.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use protocol::Reply;
use tokio::sync::oneshot;

use crate::{api::other, owners::Owners, planner::Order};

impl Owners {
    /// Records the order of a plan, to be written as soon as a slot is free, even on a busy machine.
    pub(super) fn record_order(
        &mut self,
        reference: &str,
        output: &str,
        client: oneshot::Sender<Reply>,
    ) {
        let weights = self.entry(reference).and_then(|entry| {
            let weights = self.weights_of(&entry);
            weights.ok_or_else(|| other(&format!("'{reference}' is {}", entry.state)))
        });
        let output = PathBuf::from(output);
        let ordered = weights.and_then(|weights| {
            check(&output).map_err(|error| other(&format!("{error:#}")))?;
            let held = self.inventory.catalogue().held();
            held.get(&weights).ok_or_else(|| other("no file has its weights"))?;
            Ok(weights)
        });
        match ordered {
            Ok(weights) => {
                self.inventory.hash_first(&weights);
                self.jobs.record_order(Order { weights, output }, client);
                self.timers.now();
            }
            Err(failure) => drop(client.send(Reply::Failed(failure))),
        }
    }
}

/// Checks that a file can be created there.
fn check(output: &Path) -> Result<()> {
    let shown = output.display();
    ensure!(output.is_absolute(), "'{shown}' is no absolute path");
    let folder = output.parent().with_context(|| format!("{shown} is a folder"))?;
    ensure!(folder.is_dir(), "the folder {} does not exist; create it first", folder.display());
    match fs::symlink_metadata(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {shown}")),
        Ok(_) => bail!("{shown} already exists; choose another name, or remove it"),
    }
}
