use checkpoint::Id;
use engine::Removal;
use protocol::{Checkpoint, Failure, Image, Reply, Request, State, Verdict};
use tokio::{sync::oneshot, time::Duration};

use crate::{
    api::{
        answers::{About, Asked},
        coverage::coverage,
        reference::resolve,
        view::text,
        waiters::Waiter,
    },
    build::find_runtime,
    event::{Checked, Message},
    event_loop::Actor,
    retention::garbage::seconds_since_1970,
};

/// The longest time to wait that a clock can hold for sure: about three years.
const LONGEST_WAIT_S: f64 = 1e8;

impl Actor {
    /// Answers a client, now or by a message to come.
    pub(crate) fn ask(&mut self, request: Request, reply: oneshot::Sender<Reply>) {
        let answer = match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status()))),
            Request::List => Ok(Reply::List(self.list().values().cloned().collect())),
            Request::Show { reference } => self.entry(&reference).map(Reply::Checkpoint),
            Request::Check { reference, image } => self.check(reference.as_deref(), &image),
            Request::Build { reference, now } => match self.build(&reference, now) {
                Ok(key) => return self.answer_later(About::Checkpoint(key), reply),
                Err(failure) => Err(failure),
            },
            Request::Pause => {
                self.pause();
                return self.answer_later(About::Status, reply);
            }
            Request::Resume => {
                self.resume();
                return self.answer_later(About::Status, reply);
            }
            Request::Retry { reference } => match self.retry(&reference) {
                Ok(key) => return self.answer_later(About::Checkpoint(key), reply),
                Err(failure) => Err(failure),
            },
            Request::Materialize { reference, output } => {
                return self.materialize(&reference, &output, reply);
            }
            Request::Shapes { signature, shapes } => self.note_shapes(&signature, &shapes),
            Request::Remove { engine } => match self.remove(&engine) {
                Ok(key) => return self.answer_later(About::Removed(key), reply),
                Err(failure) => Err(failure),
            },
            Request::Wait { reference, timeout_s } => {
                let seconds = if timeout_s.is_nan() { 0.0 } else { timeout_s };
                let timeout = Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT_S));
                let scan = self.scan_now();
                self.waiters.push(Waiter::new(reference, timeout, scan, reply));
                self.refresh_soon();
                return;
            }
            Request::Verify => return self.verify(reply),
            Request::WebUis => return self.webuis(reply),
            Request::Disk => return self.disk(reply),
            Request::Pin { reference } => self.pin(&reference, true),
            Request::Unpin { reference } => self.pin(&reference, false),
            Request::Gc { dry_run: true } => Ok(Reply::Garbage(self.garbage())),
            Request::Gc { dry_run: false } => {
                self.world.news.tidying = true;
                return self.answer_later(About::Garbage, reply);
            }
            Request::Log { reference } => return self.log(reference.as_deref(), reply),
            Request::History => Ok(Reply::History(self.world.store.history())),
            Request::Reload => {
                let reloaded = self.reload().map(Reply::Reloaded);
                reloaded.map_err(|error| other(&format!("{error:#}")))
            }
            Request::FindRuntime => return self.look_for_runtime(Some(reply)),
            // The server asks for these by another way.
            Request::Watch => Err(other("a watch is not a question")),
        };
        let _ = reply.send(answer.unwrap_or_else(Reply::Failed));
    }

    /// Answers once what was asked for was done.
    fn answer_later(&mut self, about: About, reply: oneshot::Sender<Reply>) {
        self.asked.push(Asked { about, reply });
        self.due.now();
    }

    pub(crate) fn entry(&self, reference: &str) -> Result<Checkpoint, Failure> {
        resolve(reference, &self.list().values().collect::<Vec<_>>()).cloned()
    }

    fn check(&self, reference: Option<&str>, image: &Image) -> Result<Reply, Failure> {
        let only = match reference {
            Some(reference) => Some(self.entry(reference)?),
            None => None,
        };
        let held = self.world.catalogue.held();
        let mut checked: Vec<_> = held
            .values()
            .map(|held| coverage(&self.world, held, image))
            .filter(|coverage| {
                only.as_ref().is_none_or(|o| o.weights_id.as_ref() == Some(&coverage.weights_id))
            })
            .collect();
        checked.sort_by(|a, b| (&a.location, &a.weights_id).cmp(&(&b.location, &b.weights_id)));
        match (only, checked.is_empty()) {
            (Some(entry), true) => {
                Err(other(&format!("it is {}: there is nothing to make images with", entry.state)))
            }
            _ => Ok(Reply::Coverage(checked)),
        }
    }

    fn build(&mut self, reference: &str, now: bool) -> Result<String, Failure> {
        let entry = self.entry(reference)?;
        self.world.touch(&engine_keys(&entry), seconds_since_1970());
        match entry.state {
            State::Ready | State::Building | State::Queued | State::Failed => {
                self.ask_for_engines_of(&entry, now);
            }
            // Its engine was removed, and may come back.
            State::Off if !self.engines_for(&entry).is_empty() => {
                self.ask_for_engines_of(&entry, now);
            }
            State::Rejected | State::Away | State::Orphaned | State::Retired | State::Off => {
                let why = entry.reason.clone().unwrap_or_default();
                return Err(other(&format!("'{reference}' is {}: {why}", entry.state)));
            }
            State::Settling | State::Identifying => {
                return Err(other(&format!(
                    "'{reference}' is {}; its engine is built as soon as its content is known",
                    entry.state
                )));
            }
        }
        Ok(entry.key().to_owned())
    }

    fn retry(&mut self, reference: &str) -> Result<String, Failure> {
        let entry = self.entry(reference)?;
        if entry.state != State::Rejected {
            return self.build(reference, false);
        }
        let paths = self.world.catalogue.files().flat_map(|file| &file.paths);
        let paths: Vec<_> =
            paths.filter(|path| entry.locations.contains(&text(path))).cloned().collect();
        for path in paths {
            self.world.catalogue.reread(&path);
        }
        Ok(entry.key().to_owned())
    }

    /// The engines that this checkpoint should have, whether it has them or not.
    fn engines_for(&self, entry: &Checkpoint) -> Vec<Id> {
        let held = self.world.catalogue.held();
        let weights = entry.weights_id.as_deref().and_then(|id| id.parse().ok());
        let Some(held) = weights.and_then(|weights: Id| held.get(&weights)) else {
            return Vec::new();
        };
        self.world.desired(held).iter().map(|desired| desired.engine).collect()
    }

    /// Asks for those with which something is to be done.
    fn ask_for_engines_of(&mut self, entry: &Checkpoint, now: bool) {
        let world = &self.world;
        let is_open = |engine: &Id| match world.library.manifests().get(engine) {
            None => true,
            Some(manifest) => {
                world.validation_failure(engine).is_some()
                    || !world.due_for(manifest, true).is_empty()
            }
        };
        let engines: Vec<Id> = self.engines_for(entry).into_iter().filter(is_open).collect();
        if now {
            // What was asked for last comes first.
            engines.into_iter().rev().for_each(|engine| self.world.ask_for_at_once(engine));
        } else {
            engines.into_iter().for_each(|engine| self.world.ask_for(engine));
        }
    }

    /// The key of the engine that begins with `prefix`.
    pub(crate) fn engine(&self, prefix: &str) -> Result<Id, Failure> {
        let keys = self.world.library.manifests().keys();
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

    fn remove(&mut self, prefix: &str) -> Result<Id, Failure> {
        let key = self.engine(prefix)?;
        self.world.condemned.insert(key, Removal::Asked);
        self.world.retry.record_removal(key);
        self.world.intent.record_served(&key);
        self.learned();
        Ok(key)
    }

    fn verify(&mut self, reply: oneshot::Sender<Reply>) {
        let library = &self.world.library;
        let manifests: Vec<_> = library
            .manifests()
            .values()
            .map(|manifest| (manifest.clone(), library.plan(&manifest.key)))
            .collect();
        let mailbox = self.mailbox.clone();
        tokio::task::spawn_blocking(move || {
            let checked = manifests.into_iter().map(|(manifest, plan)| {
                let (damaged, problem) = match manifest.check(&plan) {
                    Ok(problem) => (problem.is_some(), problem),
                    // Reading may fail for reasons that leave the engine whole.
                    Err(error) => (false, Some(format!("the plan can't be read: {error}"))),
                };
                let path = plan.to_string_lossy().into_owned();
                let verdict = Verdict { key: manifest.key.to_string(), path, problem };
                Checked { engine: manifest.key, damaged, verdict }
            });
            mailbox.send(Message::Verified(checked.collect(), reply));
        });
    }

    /// A damaged engine is no engine: it goes, and is built again.
    pub(crate) fn verified(&mut self, checked: Vec<Checked>, reply: oneshot::Sender<Reply>) {
        for engine in checked.iter().filter(|checked| checked.damaged) {
            self.world.condemned.insert(engine.engine, Removal::Damaged);
        }
        let verdicts = checked.into_iter().map(|checked| checked.verdict).collect();
        let _ = reply.send(Reply::Verified(verdicts));
        self.refresh_soon();
    }

    fn webuis(&self, reply: oneshot::Sender<Reply>) {
        let (sender, reports) = oneshot::channel();
        self.webuis.report(sender);
        tokio::spawn(async move {
            let _ = reply.send(Reply::WebUis(reports.await.unwrap_or_default()));
        });
    }

    /// Looks for the TensorRT libraries, on behalf of a client or not.
    pub(crate) fn look_for_runtime(&self, reply: Option<oneshot::Sender<Reply>>) {
        let (config, mailbox) = (self.world.config.clone(), self.mailbox.clone());
        tokio::spawn(async move {
            mailbox.send(Message::Runtime(find_runtime(&config).await, reply));
        });
    }
}

/// The keys of an entry's engines.
pub(crate) fn engine_keys(entry: &Checkpoint) -> Vec<Id> {
    entry.engines.iter().filter_map(|engine| engine.key.parse().ok()).collect()
}

pub(crate) fn other(message: &str) -> Failure {
    Failure::Other { message: message.to_owned() }
}
