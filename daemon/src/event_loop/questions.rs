//! Queries, which change nothing.

use std::sync::Arc;

use checkpoint::Id;
use protocol::{Disk, Engine, Failure, Garbage, Image, Reply, Request, State, Sums, Verdict};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::requests::send;
use crate::{
    api::{coverage::coverage, other, text},
    event::{Checked, Event},
    inventory::folder_bytes,
    jobs::{RunningJob, log_name, logs},
    library::Leftover,
    owners::Owners,
    planner::Eviction,
};

impl Owners {
    /// Replies now, or with a later event.
    pub(super) fn answer(&self, question: Request, reply: oneshot::Sender<Reply>) {
        let answer = match question {
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::List => {
                let list = self.clients.list(&self.snapshot());
                Ok(Reply::List(list.values().cloned().collect()))
            }
            Request::Show { reference } => self.entry(&reference).map(Reply::Checkpoint),
            Request::Names { reference } => return self.name(reference.as_deref(), reply),
            Request::Check { reference, image } => self.check(reference.as_deref(), &image),
            Request::Presets => Ok(Reply::Presets(self.presets())),
            Request::History => Ok(Reply::History(self.store.history())),
            Request::Gc { .. } => Ok(Reply::Garbage(self.garbage())),
            Request::Verify => return self.verify(reply),
            Request::VerifyCheckpoints => return self.verify_checkpoints(reply),
            Request::WebUis => return self.report_webuis(reply),
            Request::Disk => return self.measure_disk(reply),
            Request::Log { reference } => return self.find_log(reference.as_deref(), reply),
            // The server handles some of these itself, and the rest are changes.
            _ => Err(other("this is not a question")),
        };
        send(reply, answer);
    }

    /// Returns unneeded engines and files.
    pub(crate) fn garbage(&self) -> Vec<Garbage> {
        let snapshot = self.snapshot();
        let unneeded = snapshot.unneeded();
        let leftovers = self.leftovers(&unneeded).into_iter().map(Garbage::from);
        let unneeded = unneeded.into_iter().map(|eviction| snapshot.as_garbage(eviction));
        unneeded.chain(leftovers).collect()
    }

    /// Returns the files about engines that neither exist nor may be built, once those in `gone` are removed.
    pub(crate) fn leftovers(&self, gone: &[Eviction]) -> Vec<Leftover> {
        if !self.inventory.was_hashed() {
            return Vec::new();
        }
        self.library.leftovers(&self.snapshot().files_in_use(gone))
    }

    fn check(&self, reference: Option<&str>, image: &Image) -> Result<Reply, Failure> {
        let only = match reference {
            Some(reference) => Some(self.entry(reference)?),
            None => None,
        };
        let snapshot = self.snapshot();
        let held = snapshot.catalogue.held();
        let mut checked: Vec<_> = held
            .values()
            .map(|held| coverage(&snapshot, held, image))
            .filter(|coverage| only.as_ref().is_none_or(|entry| entry.key() == coverage.weights_id))
            .collect();
        checked.sort_by(|a, b| (&a.location, &a.weights_id).cmp(&(&b.location, &b.weights_id)));
        match (only, checked.is_empty()) {
            (Some(entry), true) => {
                Err(other(&format!("it is {}: there is nothing to make images with", entry.state)))
            }
            _ => Ok(Reply::Coverage(checked)),
        }
    }

    /// Returns the key of the engine that starts with `prefix`.
    pub(crate) fn engine(&self, prefix: &str) -> Result<Id, Failure> {
        let keys = self.library.engines().manifests().keys();
        let found: Vec<Id> = keys
            .filter(|key| !prefix.is_empty() && key.to_string().starts_with(prefix))
            .copied()
            .collect();
        match found.as_slice() {
            [key] => Ok(*key),
            [] => Err(other(&format!(
                "no engine's key begins with '{prefix}'; `sdtrtctl show REF` shows them"
            ))),
            several => Err(Failure::Ambiguous {
                reference: prefix.to_owned(),
                candidates: several.iter().map(Id::short).collect(),
            }),
        }
    }

    fn verify(&self, reply: oneshot::Sender<Reply>) {
        let library = self.library.engines();
        let manifests: Vec<_> = library
            .manifests()
            .values()
            .map(|manifest| (manifest.clone(), library.plan(&manifest.key)))
            .collect();
        let refused: Vec<_> = library.refused().clone().into_iter().collect();
        let mailbox = self.mailbox.clone();
        spawn_blocking(move || {
            // A file that is not named after a key is not an engine's.
            let refused = refused.into_iter().filter_map(|(path, why)| {
                let key = path.file_stem()?.to_str()?.parse().ok()?;
                let problem = Some(format!("the manifest is not used: {why}"));
                Some(Verdict { key, path: text(&path), problem })
            });
            let refused = refused.collect();
            let checked = manifests.into_iter().map(|(manifest, plan)| {
                let (damaged, problem) = match manifest.check(&plan) {
                    Ok(problem) => (problem.is_some(), problem),
                    // Reading can fail for reasons that leave the engine intact.
                    Err(error) => (false, Some(format!("the plan can't be read: {error}"))),
                };
                let path = plan.to_string_lossy().into_owned();
                let verdict = Verdict { key: manifest.key, path, problem };
                Checked { engine: manifest.key, damaged, verdict }
            });
            mailbox.send(Event::Verified(checked.collect(), refused, reply));
        });
    }

    fn report_webuis(&self, reply: oneshot::Sender<Reply>) {
        let (sender, reports) = oneshot::channel();
        self.publisher.report(sender);
        tokio::spawn(async move {
            let _ = reply.send(Reply::WebUis(reports.await.unwrap_or_default()));
        });
    }

    /// Returns the engine whose key starts with `reference`, or all those of the checkpoint of this name.
    pub(super) fn engines_named(&self, reference: &str) -> Result<Vec<Arc<Engine>>, Failure> {
        let by_key = match self.engine(reference) {
            Ok(key) => Some(key),
            Err(ambiguous @ Failure::Ambiguous { .. }) => return Err(ambiguous),
            Err(_) => None,
        };
        match (by_key, self.entry(reference)) {
            (Some(key), Err(Failure::NotFound { .. })) => {
                let list = self.clients.list(&self.snapshot());
                let mut engines = list.values().flat_map(|entry| &entry.engines);
                Ok(engines.find(|engine| engine.key == key).cloned().into_iter().collect())
            }
            (Some(key), Ok(entry)) => Err(Failure::Ambiguous {
                reference: reference.to_owned(),
                candidates: vec![key.to_string(), entry.key().to_string()],
            }),
            (None, Ok(entry)) if entry.engines.is_empty() => {
                Err(other(&format!("'{reference}' is {} and has no engine yet", entry.state)))
            }
            (None, Ok(entry)) => Ok(entry.engines),
            (_, Err(failure)) => Err(failure),
        }
    }

    /// Measures the folders outside of the loop.
    fn measure_disk(&self, reply: oneshot::Sender<Reply>) {
        let list = self.clients.list(&self.snapshot());
        let with_engines = list.values().filter(|entry| !entry.engines.is_empty());
        let checkpoints: Vec<_> = with_engines.cloned().collect();
        let orphans = checkpoints.iter().filter(|entry| entry.state == State::Orphaned);
        let sums = Sums {
            engines: self.snapshot().holdings().bytes(),
            orphans: orphans.flat_map(|entry| &entry.engines).map(|engine| engine.bytes).sum(),
            ..Sums::default()
        };
        let config = &self.config;
        let (quota, min_free) =
            (config.quota.map(|quota| quota.as_u64()), config.min_free.as_u64());
        let free = self.library.engines().free_bytes();
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

    /// Replies with the log of an engine, of a checkpoint's engine, or of a running job or the last build.
    fn find_log(&self, reference: Option<&str>, reply: oneshot::Sender<Reply>) {
        let logged = match self.logged(reference) {
            Ok(logged) => logged,
            Err(failure) => return drop(reply.send(Reply::Failed(failure))),
        };
        let logs = self.config.data_dir.join("logs");
        spawn_blocking(move || {
            let found = logged.into_iter().map(|(engine, name)| (engine, logs.join(name)));
            let _ = reply.send(logs::first(found).unwrap_or_else(Reply::Failed));
        });
    }

    /// Returns the engines and names of the logs that may be meant, the likeliest first.
    fn logged(&self, reference: Option<&str>) -> Result<Vec<(Id, String)>, Failure> {
        let log = |running: &RunningJob| {
            let engine = running.work.want.engine;
            (engine, log_name(&engine, &running.job.task))
        };
        let built = |engine| (engine, logs::built(&engine));
        let validated = |engine| (engine, logs::validated(&engine));
        let history = self.store.history();
        let Some(reference) = reference else {
            let ended = history.into_iter().map(|finished| built(finished.engine));
            return Ok(self.jobs.running().iter().map(log).chain(ended).collect());
        };
        let entry = match self.entry(reference) {
            Ok(entry) => entry,
            // It may be an engine's key.
            Err(failure) => {
                let key = self.engine(reference).map_err(|_| failure)?;
                return Ok(vec![built(key), validated(key)]);
            }
        };
        let id = self.weights_of(&entry);
        let of_entry = |weights| id == Some(weights);
        let running = self.jobs.running().iter();
        let running = running.filter(|running| of_entry(running.work.want.weights));
        let ended = history.iter().filter(|finished| of_entry(finished.weights_id));
        let keys = || entry.engines.iter().map(|engine| engine.key);
        Ok(running
            .map(log)
            .chain(ended.map(|finished| built(finished.engine)))
            .chain(keys().map(built))
            .chain(keys().map(validated))
            .collect())
    }
}
