//! A plan with a checkpoint's weights inside, for whoever asks for one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use engine::Task;
use protocol::{Materialized, Reply};
use tokio::sync::oneshot;

use crate::{
    api::{requests::other, view::text},
    build::{Done, Failure},
    event_loop::Actor,
    jobs::{RunningJob, running::MIXED_UP},
    planner::plan::Order,
};

impl Actor {
    /// Has a plan written as soon as there is a place for it, whatever the machine does.
    pub(crate) fn materialize(
        &mut self,
        reference: &str,
        output: &str,
        client: oneshot::Sender<Reply>,
    ) {
        let weights = self.entry(reference).and_then(|entry| {
            let weights = entry.weights_id.and_then(|id| id.parse().ok());
            weights.ok_or_else(|| other(&format!("'{reference}' is {}", entry.state)))
        });
        let output = PathBuf::from(output);
        let ordered = weights.and_then(|weights| {
            check(&output).map_err(|error| other(&format!("{error:#}")))?;
            let held = self.world.catalogue.held();
            held.get(&weights).ok_or_else(|| other("no file has its weights"))?;
            Ok(weights)
        });
        match ordered {
            Ok(weights) => {
                self.world.jobs.record_order(Order { weights, output }, client);
                self.due.now();
            }
            Err(failure) => drop(client.send(Reply::Failed(failure))),
        }
    }

    /// Tells whoever waits for it.
    pub(crate) fn materialized(&mut self, mut running: RunningJob, result: Result<Done, Failure>) {
        let Task::Materialize { output } = &running.job.task else { return };
        let reply = match result {
            Ok(Done::Materialized(bytes)) => {
                Reply::Materialized(Materialized { path: text(output), bytes })
            }
            Ok(_) => Reply::Failed(other(MIXED_UP)),
            Err(failure) => Reply::Failed(other(&failure.to_string())),
        };
        if let Some(client) = running.client.take() {
            let _ = client.send(reply);
        }
    }
}

/// Whether a file may be written there.
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
