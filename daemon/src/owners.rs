//! All owners, and the snapshot of what they know.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use checkpoint::Id;
use config::Config;
use engine::Library;
use protocol::{Checkpoint, Failure, Status};
use tokio::time::Instant;

use crate::{
    api::{Clients, reference::resolve, status, text},
    cache::Store,
    claim::Claim,
    clock,
    event::{Event, Mailbox},
    gate::{Gate, Gpus, Sampler},
    intent::Intent,
    inventory::{Held, Inventory},
    jobs::{Builder, Jobs},
    library::EngineLibrary,
    lifetime::Lifetime,
    metrics::Metrics,
    notices::Notices,
    planner::{DesiredEngines, News, Pause, Snapshot},
    publish::Publisher,
    retry::Retry,
    sharing::Sharing,
    systemd::Manager,
    timers::{Timers, seconds_since_1970},
};

/// Reads the configuration from the daemon's sources, and checks it.
pub type Settings = Box<dyn Fn() -> Result<Config> + Send>;

/// Each owner alone changes what it owns. [`Snapshot`] combines what all of them know.
pub(crate) struct Owners {
    pub(crate) config: Config,
    /// Reads the configuration again; absent if there is none to read.
    pub(crate) settings: Option<Settings>,
    /// The file that they are in, or would be.
    pub(crate) settings_file: Option<PathBuf>,
    /// It is the largest.
    pub(crate) inventory: Box<Inventory>,
    pub(crate) library: EngineLibrary,
    pub(crate) intent: Intent,
    pub(crate) retry: Retry,
    pub(crate) gate: Gate,
    pub(crate) jobs: Jobs,
    pub(crate) publisher: Publisher,
    pub(crate) sharing: Sharing,
    pub(crate) clients: Clients,
    pub(crate) notices: Notices,
    pub(crate) desired: DesiredEngines,
    /// Events since the last reconcile step.
    pub(crate) news: News,
    pub(crate) timers: Timers,
    pub(crate) lifetime: Lifetime,
    pub(crate) manager: Manager,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) mailbox: Mailbox,
    /// The claim on the data folder; absent in tests.
    pub(crate) claim: Option<Claim>,
    started: Instant,
}

impl Owners {
    /// The owners at the start, before anything is known.
    pub(crate) fn new(
        config: Config,
        library: Library,
        store: Arc<dyn Store>,
        builder: Arc<dyn Builder>,
        gpus: Arc<dyn Gpus>,
        sampler: Box<dyn Sampler>,
        mailbox: Mailbox,
    ) -> Self {
        let now = Instant::now();
        let tell = {
            let mailbox = mailbox.clone();
            Arc::new(move |event| mailbox.send(Event::Files(event)))
        };
        let announce = {
            let mailbox = mailbox.clone();
            Arc::new(move || mailbox.send(Event::Shared))
        };
        let sharing = Sharing::new(&config, announce);
        let mut inventory = Box::new(Inventory::new(&config, store.clone(), tell));
        inventory.set_peers(sharing.peers());
        Self {
            settings: None,
            settings_file: None,
            inventory,
            library: EngineLibrary::new(library, &config.data_dir),
            intent: Intent::new(store.clone()),
            retry: Retry::new(store.clone(), &config.data_dir),
            gate: Gate::new(gpus, sampler, config.idle()),
            jobs: Jobs::new(sharing.first(builder)),
            sharing,
            publisher: Publisher::new(&config),
            clients: Clients::default(),
            notices: Notices::new(None),
            desired: DesiredEngines::default(),
            news: News::default(),
            timers: Timers::new(),
            lifetime: Lifetime::new(store.lived_s()),
            manager: Manager::new(now),
            metrics: Arc::default(),
            store,
            mailbox,
            claim: None,
            started: now,
            config,
        }
    }

    /// Everything known at this moment.
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        let Self { config, inventory, library, intent, retry, gate, jobs, desired, .. } = self;
        Snapshot {
            config,
            now_s: seconds_since_1970(),
            lived_s: self.lifetime.seconds(),
            catalogue: inventory.catalogue(),
            aliases: inventory.aliases(),
            problems: inventory.problems(),
            whereabouts: inventory.whereabouts(),
            surveyed: inventory.is_surveyed(),
            hashed: inventory.was_hashed(),
            library: library.engines(),
            free: library.free(),
            condemned: library.condemned(),
            stuck: library.stuck(),
            proofs: library.proofs(),
            timings: library.timings(),
            unusable: library.unusable(),
            asked: intent.asked(),
            urgent: intent.urgent(),
            doubted: intent.doubted(),
            recent: intent.recent(),
            paused: intent.paused(),
            minute: clock::minute(),
            draws: gate.draws(),
            shapes: intent.shapes(),
            setbacks: retry.setbacks(),
            trouble: retry.trouble(),
            pauses: retry.pauses(),
            deadly: retry.deadly(),
            troubles: self.troubles(),
            ran_out: retry.ran_out(),
            unfit: retry.unfit(),
            gpus: gate.gpus(),
            gpu_problem: gate.problem(),
            decisions: gate.decisions(),
            readings: gate.readings(),
            memory_free: gate.memory_free(),
            desired,
            work: jobs.work().collect(),
            builders: jobs.builders(),
            order: jobs.order(),
        }
    }

    /// What is wrong with the machine, in words.
    fn troubles(&self) -> Vec<String> {
        let is_left = |pause: &Pause| !pause.left.is_zero() || !self.clients.queue().is_empty();
        let trouble = self.retry.trouble().filter(is_left).map(|pause| pause.reason);
        let unwritten = [self.publisher.problem(), self.library.problem()].map(|p| p.cloned());
        trouble
            .into_iter()
            .chain(unwritten.into_iter().flatten())
            .chain(self.store.problem())
            .collect()
    }

    /// The daemon's status.
    pub(crate) fn status(&self) -> Status {
        self.status_for(&self.clients)
    }

    /// The status that these clients see.
    pub(crate) fn status_for(&self, clients: &Clients) -> Status {
        let (counts, queue) = (clients.counts().clone(), clients.queue());
        let status = status::status(&self.snapshot(), counts, queue, self.started.elapsed());
        Status { store: self.sharing.shown(), ..status }
    }

    /// Returns the entry of `list` that `reference` names.
    pub(crate) fn entry(&self, reference: &str) -> Result<Checkpoint, Failure> {
        let list = self.clients.list(&self.snapshot());
        let (listed, entries) = (self.listed(reference), list.values().collect::<Vec<_>>());
        let resolved = resolve(&listed, &entries).cloned();
        let Err(Failure::NotFound { .. }) = resolved else { return resolved };
        let mut meant: Vec<String> =
            self.hashed_as(reference).iter().map(|path| text(path)).collect();
        let is_meant =
            |entry: &&&Checkpoint| entry.locations.iter().any(|path| meant.contains(path));
        let mut found = entries.iter().filter(is_meant);
        match (found.next(), found.next()) {
            (None, _) => resolved,
            (Some(one), None) => Ok(Checkpoint::clone(one)),
            (Some(_), Some(_)) => {
                meant.sort();
                Err(Failure::Ambiguous { reference: reference.to_owned(), candidates: meant })
            }
        }
    }

    /// Returns a reference that is a path in the form of `list`: through links it may differ.
    pub(crate) fn listed<'a>(&self, reference: &'a str) -> Cow<'a, str> {
        let listed = self.inventory.aliases().listed(Path::new(reference));
        listed.map_or(reference.into(), |path| text(&path).into())
    }

    /// Returns the weights id of an entry of `list`, or its placeholder while the content is unknown.
    pub(crate) fn weights_of(&self, entry: &Checkpoint) -> Option<Id> {
        entry.weights_id.or_else(|| {
            let held = self.inventory.catalogue().held();
            let lies_there = |path: &&Path| Some(&text(path)) == entry.locations.first();
            let is_it = |held: &&Held<'_>| held.paths.iter().any(lies_there);
            held.values().find(is_it).map(|held| held.identity.ids.weights)
        })
    }

    /// Records that something changed: reconcile soon.
    pub(crate) fn changed(&mut self) {
        self.timers.soon(self.inventory.is_busy());
    }

    /// Forgets all failures of the jobs of `engine`.
    pub(crate) fn forget_failures(&mut self, engine: &Id) {
        for job in self.snapshot().jobs_of(engine) {
            self.retry.record_fresh_start(job);
        }
    }
}
