//! What clients ask of the data folder.

use std::sync::Arc;

use engine::Usage;
use protocol::{Disk, Engine, Failure, Reply, State, Sums};
use tokio::{sync::oneshot, task::spawn_blocking};

use crate::{api::requests::other, event_loop::Actor, inventory::reading::folder_bytes};

impl Actor {
    /// Keeps engines whatever comes, or no longer does.
    pub(crate) fn pin(&mut self, reference: &str, pinned: bool) -> Result<Reply, Failure> {
        let engines = self.engines_named(reference)?;
        for engine in &engines {
            let key = engine.key.parse().map_err(|error| other(&format!("{error}")))?;
            let Some(usage) = self.world.library.usage(&key).copied() else { continue };
            self.world
                .library
                .set_usage(&key, Usage { pinned, ..usage })
                .map_err(|error| other(&format!("{error:#}")))?;
        }
        self.due.now();
        let engines = engines.iter().map(|engine| Engine { pinned, ..Engine::clone(engine) });
        Ok(Reply::Engines(engines.collect()))
    }

    /// The engine whose key begins so, or all those of the checkpoint of this name.
    fn engines_named(&self, reference: &str) -> Result<Vec<Arc<Engine>>, Failure> {
        let by_key = match self.engine(reference) {
            Ok(key) => Some(key.to_string()),
            Err(ambiguous @ Failure::Ambiguous { .. }) => return Err(ambiguous),
            Err(_) => None,
        };
        match (by_key, self.entry(reference)) {
            (Some(key), Err(Failure::NotFound { .. })) => {
                let mut engines = self.list().values().flat_map(|entry| &entry.engines);
                Ok(engines.find(|engine| engine.key == key).cloned().into_iter().collect())
            }
            (Some(key), Ok(entry)) => Err(Failure::Ambiguous {
                reference: reference.to_owned(),
                candidates: vec![key, entry.key().to_owned()],
            }),
            (None, Ok(entry)) if entry.engines.is_empty() => {
                Err(other(&format!("'{reference}' is {} and has no engine yet", entry.state)))
            }
            (None, Ok(entry)) => Ok(entry.engines),
            (_, Err(failure)) => Err(failure),
        }
    }

    /// Adds up the folders beside the actor.
    pub(crate) fn disk(&self, reply: oneshot::Sender<Reply>) {
        let with_engines = self.list().values().filter(|entry| !entry.engines.is_empty());
        let checkpoints: Vec<_> = with_engines.cloned().collect();
        let orphans = checkpoints.iter().filter(|entry| entry.state == State::Orphaned);
        let sums = Sums {
            engines: self.world.holdings().bytes(),
            orphans: orphans.flat_map(|entry| &entry.engines).map(|engine| engine.bytes).sum(),
            ..Sums::default()
        };
        let config = &self.world.config;
        let (quota, min_free) =
            (config.quota.map(|quota| quota.as_u64()), config.min_free.as_u64());
        let free = self.world.library.free_bytes();
        let data_dir = config.data_dir.clone();
        spawn_blocking(move || {
            let folders = ["logs", "scratch", "runtime", "learned", "kernels"];
            let [logs, scratch, runtimes, learned, kernels] =
                folders.map(|folder| folder_bytes(&data_dir.join(folder)));
            let sums = Sums { logs, scratch, runtimes, learned, kernels, ..sums };
            let _ = reply.send(match free {
                Ok(free) => Reply::Disk(Disk { checkpoints, sums, quota, free, min_free }),
                Err(error) => Reply::Failed(other(&format!(
                    "cannot tell how much of {} is free: {error}",
                    data_dir.display()
                ))),
            });
        });
    }
}
