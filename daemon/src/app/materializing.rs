//! A plan with a checkpoint's weights inside, for whoever asks for one.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use checkpoint::Id;
use protocol::{Materialized, Reply};
use tokio::sync::oneshot;

use super::{
    actor::Actor,
    jobs::{MIXED_UP, Running},
    keeping::of,
    requests::other,
    view::text,
    world::World,
};
use crate::{
    build::{Done, Failure, Manifest, Task, Weights},
    schedule::{Errand, Held, Takes, Want, memory_bytes},
};

/// Plans that are to be written, in order.
pub(super) type Orders = VecDeque<Order>;

/// A plan that is to be written.
pub(super) struct Order {
    weights: Id,
    output: PathBuf,
    client: oneshot::Sender<Reply>,
}

impl World {
    /// The engine to materialize for this checkpoint.
    fn good_engine(&self, held: &Held<'_>) -> Result<&Manifest> {
        let target = self.target.as_ref().map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let is_good = |manifest: &&&Manifest| {
            let judged = self.judgement(manifest, &held.identity.ids.unet);
            let is_copied = matches!(manifest.spec.weights, Weights::Baked(_));
            (is_copied || manifest.spec.version == target.runtime.version)
                && self.may_serve(manifest)
                && judged.is_none_or(|judged| judged.proof.holds())
        };
        let wanted = self.wanted(held).map(|wanting| wanting.engine);
        let engines = of(&self.engines(), held.identity);
        let good = engines.iter().filter(is_good);
        good.max_by_key(|manifest| (Some(manifest.key) == wanted, manifest.built_at))
            .copied()
            .context("it has no engine that is ready; `sdtrtctl show` says why")
    }
}

impl Actor {
    /// Has a plan written as soon as there is a place for it, whatever the machine does.
    pub(super) fn materialize(
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
            let held = held.get(&weights).ok_or_else(|| other("no file has its weights"))?;
            self.world.good_engine(held).map_err(|error| other(&format!("{error:#}")))?;
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

    /// Starts the next one, unless one is under way or no place is free.
    pub(super) fn start_ordered(&mut self) {
        let is_next = |running: &Running| running.want.errand != Errand::Materialize;
        while self.running.iter().all(is_next)
            && let Some(place) = self.world.first_free(&Takes::default(), |_| true)
            && let Some(Order { weights, output, client }) = self.orders.pop_front()
        {
            if client.is_closed() {
                continue;
            }
            let mut client = Some(client);
            if let Err(error) = self.fill(weights, output, place, &mut client)
                && let Some(client) = client
            {
                let _ = client.send(Reply::Failed(other(&format!("{error:#}"))));
            }
        }
    }

    fn fill(
        &mut self,
        weights: Id,
        output: PathBuf,
        place: usize,
        client: &mut Option<oneshot::Sender<Reply>>,
    ) -> Result<()> {
        let held = self.world.catalogue.held();
        let held = held.get(&weights).context("the checkpoint is gone")?;
        let manifest = self.world.good_engine(held)?;
        let path = held.paths.first().context("the checkpoint is gone")?.to_path_buf();
        if matches!(manifest.spec.weights, Weights::Shared(_)) {
            let is_on_gpu = self.world.uuid_at(place).is_some();
            ensure!(is_on_gpu, "putting weights in takes an NVIDIA GPU, and there is none");
        }
        let memory_bytes = memory_bytes(held.identity.unet_parameters);
        let want = Want {
            job: Id::from(blake3::hash(output.as_os_str().as_encoded_bytes())),
            errand: Errand::Materialize,
            engine: manifest.key,
            presets: manifest.presets.clone(),
            weights,
            newest_ns: held.newest_ns,
            why: "asked for".to_owned(),
            takes: Takes { memory_bytes, ..Takes::default() },
            obstacle: None,
        };
        let spec = manifest.spec.clone();
        let engine = self.world.published(&manifest.key);
        self.launch(want, place, Task::Materialize { engine, output }, spec, path, client)
    }

    /// Tells whoever waits for it.
    pub(super) fn materialized(&mut self, mut running: Running, result: Result<Done, Failure>) {
        let Task::Materialize { output, .. } = &running.job.task else { return };
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
