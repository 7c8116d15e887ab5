use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use checkpoint::Id;
use config::Config;
use engine::{Library, Phase, Runtime, Target};
use protocol::{Checkpoint, Event, State, Status};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep_until},
};

use crate::{
    api::{
        answers::{About, Asked},
        subscribers::Watchers,
        view,
        waiters::Waiter,
    },
    build::{Builder, RuntimeProblem},
    cache::Store,
    event::{Mailbox, Message},
    gate::{Gates, Gpus, gating::Gating, gpu::compute_capabilities, sampler::Sampler},
    inventory::{Notifier, Stamp},
    memory,
    metrics::Metrics,
    planner::{
        Want,
        snapshot::{Work, World},
    },
    publish::{IndexFile, Keeper},
    reload::{Settings, keeper},
    systemd::Manager,
    timers::Due,
};

/// How long an engine that is being written may hold up the end.
const LAST_WRITE: Duration = Duration::from_secs(7);

/// Owns all state. Everything slow runs beside it and reports back by message.
pub(crate) struct Actor {
    pub(crate) world: World,
    pub(crate) mailbox: Mailbox,
    pub(crate) waiters: Vec<Waiter>,
    /// What clients see: the queue, how many entries of `list` are in each state, and the entries.
    pub(crate) queue: Vec<Want>,
    pub(crate) counts: BTreeMap<State, usize>,
    pub(crate) list: OnceCell<BTreeMap<String, Checkpoint>>,
    /// Clients that are answered after the next step.
    pub(crate) asked: Vec<Asked>,
    pub(crate) notifier: Arc<Mutex<Notifier>>,
    pub(crate) due: Due,
    pub(crate) looks: Looks,
    pub(crate) webuis: Keeper,
    pub(crate) index: IndexFile,
    /// Where everything lies, as the keeper of web UIs knows it.
    pub(crate) places: Option<Vec<(Id, PathBuf)>>,
    /// Reads the configuration again; without it there is none to read.
    pub(crate) settings: Option<Settings>,
    pub(crate) gating: Gating,
    pub(crate) manager: Manager,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) started: Instant,
    gpus: Arc<dyn Gpus>,
    /// Bytes of the machine's memory that are free, where it tells.
    pub(crate) free_memory: fn() -> Option<u64>,
    pub(crate) watchers: Watchers,
}

/// What is looked at or read right now.
#[derive(Default)]
pub(crate) struct Looks {
    pub(crate) scans_begun: u64,
    pub(crate) scans_done: u64,
    /// What the scan under way has found so far.
    pub(crate) found: Vec<(PathBuf, Stamp)>,
    /// It is being looked at who has files open whose time to settle is up.
    pub(crate) settling: bool,
    /// Files being read.
    pub(crate) reading: usize,
    /// Where disks are mounted below the models folders, or were and may be again.
    pub(crate) mounts: BTreeSet<PathBuf>,
}

impl Actor {
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
        let gpus_here = gpus.list();
        let notifier = mailbox.notifier();
        let index = IndexFile::new(config.data_dir.join("index.json"));
        let looks = Looks { mounts: store.mounts(), ..Looks::default() };
        Self {
            webuis: keeper(&config),
            index,
            places: None,
            settings: None,
            gating: Gating::new(Gates::new(gpus_here.len(), config.idle()), sampler),
            world: World::new(config, library, store, gpus_here, builder),
            mailbox,
            waiters: Vec::new(),
            queue: Vec::new(),
            counts: BTreeMap::new(),
            list: OnceCell::new(),
            asked: Vec::new(),
            notifier,
            due: Due { scan: Some(now), housekeeping: Some(now), ..Due::default() },
            looks,
            gpus,
            free_memory: memory::free,
            watchers: Watchers::default(),
            manager: Manager::new(now),
            metrics: Arc::default(),
            started: now,
        }
    }

    /// Works until told to stop.
    pub(crate) async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        self.look_for_runtime(None);
        loop {
            self.do_what_is_due(Instant::now());
            let deadline = self.next_deadline();
            tokio::select! {
                message = messages.recv() => match message {
                    None | Some(Message::Stop) => break,
                    Some(message) => self.step(message),
                },
                () = sleep_until(deadline) => self.step(Message::Tick),
            }
        }
        self.stop(&mut messages).await;
    }

    /// Ends, with what is being written finished and all that was learned kept.
    pub(crate) async fn stop(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        self.manager.stopping();
        self.world.news.stopping = true;
        self.finish_writing(messages).await;
        self.world.store.flush();
    }

    /// Lets an engine that is being written be published, and abandons any other job.
    async fn finish_writing(&mut self, messages: &mut mpsc::UnboundedReceiver<Message>) {
        let end = Instant::now() + LAST_WRITE;
        let is_writing = |work: &Work| work.progress.phase == Phase::Write;
        while self.world.jobs.work().any(is_writing) {
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message @ (Message::Progress(..) | Message::Ended(..))) => {
                        self.step(message);
                    }
                    Some(_) => {}
                    None => break,
                },
                () = sleep_until(end) => break,
            }
        }
        // Dropping a running job kills its worker.
        self.world.jobs.end_all();
    }

    /// Takes one event in, and does what follows. A question that must wait for what follows from the events
    /// before it is taken in after that.
    pub(crate) fn step(&mut self, message: Message) {
        let mut next = Some(message);
        let mut may_wait = true;
        while let Some(message) = next.take() {
            if may_wait && self.must_wait(&message) {
                next = Some(message);
            } else {
                self.record(message);
            }
            may_wait = false;
            self.reconcile();
        }
    }

    fn record(&mut self, message: Message) {
        match message {
            Message::Hint(hint) => self.hint(hint),
            Message::Found(files) => self.found(files),
            Message::Scanned(scan) => self.scanned(scan),
            Message::Looked(found) => self.looked(found),
            Message::Settled(due, writers) => self.settled(&due, &writers),
            Message::Read(learned) => self.read(learned),
            Message::Runtime(found, reply) => {
                self.found_runtime(found);
                if let Some(reply) = reply {
                    self.asked.push(Asked { about: About::Status, reply });
                    self.due.now();
                }
            }
            Message::Sampled(sampler, sample) => self.sampled(sampler, sample),
            Message::Progress(job, progress) => self.progress(job, progress),
            Message::Ended(job, result) => self.ended(job, result),
            Message::Verified(checked, reply) => self.verified(checked, reply),
            Message::Ask(request, reply) => self.ask(request, reply),
            Message::Watch(reply) => {
                self.tidy_soon();
                let mut watchers = std::mem::take(&mut self.watchers);
                let state = || Event::State {
                    status: Box::new(self.status()),
                    checkpoints: self.list().values().cloned().collect(),
                };
                let _ = reply.send(watchers.begin(state));
                self.watchers = watchers;
            }
            Message::Reload => self.reload_and_tell(),
            Message::Tick => self.note_time(Instant::now()),
            Message::Stop => {}
        }
    }

    fn found_runtime(&mut self, found: Result<Runtime, RuntimeProblem>) {
        match &found {
            Ok(runtime) => tracing::info!(
                "TensorRT-RTX {} at {}",
                runtime.version,
                runtime.library().display()
            ),
            Err(problem) if self.world.target.as_ref().err() != Some(problem) => {
                tracing::warn!("{problem}");
            }
            Err(_) => {}
        }
        let gpus = self.gpus.list();
        if gpus != self.world.gpus {
            self.world.gpus = gpus;
            self.close_gates();
        }
        let target = found.map(|runtime| {
            Target::new(runtime, &self.world.config, &compute_capabilities(&self.world.gpus))
        });
        self.world.set_target(target);
        self.refresh_soon();
    }

    pub(crate) fn status(&self) -> Status {
        view::status(&self.world, self.counts.clone(), &self.queue, self.started.elapsed())
    }

    /// The entries of `list` by key. With thousands of checkpoints they take milliseconds to make and
    /// megabytes to keep, so that is done for those who look only.
    pub(crate) fn list(&self) -> &BTreeMap<String, Checkpoint> {
        self.list.get_or_init(|| {
            view::checkpoints(&self.world, &self.world.catalogue.held(), &self.queue)
        })
    }

    pub(crate) fn note_metrics(&self) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.queued.set(i64::try_from(self.queue.len()).unwrap_or(i64::MAX));
        self.metrics.engines.set(gauge(self.world.holdings().bytes()));
        self.metrics.free.set(gauge(self.world.free.clone().unwrap_or_default()));
    }

    pub(crate) fn show_manager(&mut self) {
        let counts = self.counts.clone();
        self.manager.show(&view::glance(&self.world, counts, &self.queue));
    }

    /// Not before every file was read: one that is not known yet would look deleted, and a name that
    /// it shares with another would seem to mean that one alone.
    pub(crate) fn tell_webuis(&mut self, places: Vec<(Id, PathBuf)>) {
        if self.places.as_ref() != Some(&places) {
            self.webuis.checkpoints(places.clone());
            self.places = Some(places);
        }
    }

    /// Whether every file was seen and read.
    pub(crate) fn is_all_read(&self) -> bool {
        self.looks.scans_done > 0 && self.world.catalogue.is_all_read()
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        self.watchers.tell(event);
    }

    pub(crate) fn serve_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let now = Instant::now();
        let waiters = std::mem::take(&mut self.waiters).into_iter();
        let list: Vec<&Checkpoint> = self.list().values().collect();
        let sought = matches!(self.world.target, Err(RuntimeProblem::Sought));
        let stuck = self.stuck();
        let waiting = waiters
            .filter_map(|waiter| {
                waiter.serve(&list, self.looks.scans_done, sought, stuck.as_deref(), now)
            })
            .collect();
        self.waiters = waiting;
    }
}
