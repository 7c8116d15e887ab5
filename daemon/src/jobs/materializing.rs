//! A plan with a checkpoint's weights inside, for whoever asks for one.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use checkpoint::Id;
use engine::{Task, Wanted};
use protocol::{Materialized, Reply};
use tokio::sync::oneshot;

use crate::{
    api::{requests::other, view::text},
    build::{Done, Failure},
    event_loop::Actor,
    jobs::running::{MIXED_UP, Next, Running},
    planner::{Errand, Place, Step, Takes, Want, memory_bytes, room, slots::Slot},
};

/// Plans that are to be written, in order.
pub(crate) type Orders = VecDeque<Order>;

/// A plan that is to be written.
pub(crate) struct Order {
    weights: Id,
    output: PathBuf,
    client: oneshot::Sender<Reply>,
}

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
                self.orders.push_back(Order { weights, output, client });
                self.refresh();
            }
            Err(failure) => drop(client.send(Reply::Failed(failure))),
        }
    }

    /// Starts the next one, unless one is under way or there is no place or no memory for it beside what is built.
    pub(crate) fn start_ordered(&mut self) {
        let is_next = |running: &Running| running.want.errand != Errand::Materialize;
        while !self.world.stopping
            && self.running.iter().all(is_next)
            && self.world.work_at(Slot::Aside).is_none()
            && self.has_memory_for_the_next()
            && let Some(Order { weights, output, client }) = self.orders.pop_front()
        {
            if client.is_closed() {
                continue;
            }
            let mut client = Some(client);
            if let Err(error) = self.build_for(weights, output, &mut client)
                && let Some(client) = client
            {
                let _ = client.send(Reply::Failed(other(&format!("{error:#}"))));
            }
        }
    }

    fn has_memory_for_the_next(&self) -> bool {
        let held = self.world.catalogue.held();
        let next = self.orders.front().and_then(|order| held.get(&order.weights));
        next.is_none_or(|held| {
            let takes = Takes {
                place: Place::Aside,
                memory_bytes: memory_bytes(held.identity.unet_parameters),
                ..Takes::default()
            };
            self.world.lacks(&held.identity.ids.weights, &takes).is_none()
        })
    }

    fn build_for(
        &mut self,
        weights: Id,
        output: PathBuf,
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let held = self.world.catalogue.held();
        let held = held.get(&weights).context("the checkpoint is gone")?;
        let target = self.world.target.as_ref().map_err(|problem| anyhow!("{problem}"))?;
        let Wanted { spec, presets, .. } = target.baked(held.identity, &held.paths);
        let source = self.world.checkpoint(held);
        let location = held.paths.first().context("the checkpoint is gone")?.to_path_buf();
        let memory_bytes = memory_bytes(held.identity.unet_parameters);
        let disk_bytes = room::needed(held.identity, &spec.weights);
        let want = Want {
            job: Id::from(blake3::hash(output.as_os_str().as_encoded_bytes())),
            errand: Errand::Materialize,
            engine: spec.key(),
            presets,
            shape: None,
            step: Step::Open,
            number: 0,
            weights,
            unet: held.identity.ids.unet,
            newest_ns: held.newest_ns,
            why: "asked for".to_owned(),
            takes: Takes { place: Place::Aside, memory_bytes, disk_bytes, ..Takes::default() },
            obstacle: None,
        };
        let next = Next { want, slot: Slot::Aside, spec, source, location };
        self.launch(next, Task::Materialize { output }, client)
    }

    /// Tells whoever waits for it.
    pub(crate) fn materialized(&mut self, mut running: Running, result: Result<Done, Failure>) {
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
    ensure!(folder.is_dir(), "the folder {} is not there; make it first", folder.display());
    match fs::symlink_metadata(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {shown}")),
        Ok(_) => bail!("{shown} is there already; choose another name, or remove it"),
    }
}
