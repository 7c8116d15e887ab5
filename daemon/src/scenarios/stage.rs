//! A simulated machine that is idle or busy, and workers that end, as a test says. Time moves only when told
//! to.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use config::{BuildWhen, Config, EngineKind, Rule};
use engine::{Job, Library, Parameter, Phase, Progress, Runtime, Task};
use protocol::{Checkpoint, EntryKey, GpuProcess, GpuReading, Reply, Request, State};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Duration, Instant, advance, timeout},
};

use crate::{
    cache::MemoryCache,
    event::{Event, Mailbox},
    gate::{Gpu, Gpus, Sample, Sampler, WebUiReading},
    inventory::{self, Recall, Scan, Stamp},
    jobs::{Done, Failure, RunningJob},
    owners::Owners,
    samples::{findings, identified, known, leave_plan, signature, stamp},
    scenarios::{cards::Cards, workers::Workers},
};

/// The time between two samples.
const LOOK: Duration = Duration::from_millis(500);

/// How many seconds the machine must be idle.
pub(crate) const WINDOW_S: f64 = 10.0;

/// A configuration in which every checkpoint in `/m` is to have one engine, for the preset `default`.
pub(crate) fn one_preset(engines: EngineKind, build: BuildWhen) -> Config {
    Config {
        models_dirs: vec!["/m".into()],
        engines: Some(engines),
        idle_seconds: WINDOW_S,
        build,
        fixed_engines: 0,
        rules: vec![Rule { presets: vec!["default".to_owned()], ..Rule::default() }],
        ..Config::default()
    }
}

struct Told(Arc<Mutex<Sample>>);

impl Sampler for Told {
    fn sample(&mut self, _: &[Gpu]) -> Sample {
        self.0.lock().unwrap().clone()
    }

    fn rest(&mut self) {}
}

pub(crate) struct Stage {
    pub(crate) owners: Owners,
    messages: mpsc::UnboundedReceiver<Event>,
    told: Arc<Mutex<Sample>>,
    workers: Arc<Workers>,
    cards: Arc<Cards>,
    pub(crate) store: Arc<MemoryCache>,
    pub(crate) data: TempDir,
}

impl Stage {
    /// A daemon that knows these checkpoints, the newest last, and has built nothing.
    pub(crate) async fn new(gpus: usize, build: BuildWhen, names: &[&str]) -> Self {
        Self::with(gpus, build, EngineKind::Baked, names).await
    }

    pub(crate) async fn with(
        gpus: usize,
        build: BuildWhen,
        engines: EngineKind,
        names: &[&str],
    ) -> Self {
        Self::of(gpus, one_preset(engines, build), names, |_| ()).await
    }

    /// A daemon with this configuration, whose data folder `prepare` has changed.
    pub(crate) async fn of(
        gpus: usize,
        config: Config,
        names: &[&str],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        prepare(data.path());
        let config = Config { data_dir: data.path().to_owned(), ..config };
        let build = config.build;
        let (sender, messages) = mpsc::unbounded_channel();
        let (store, workers) = (Arc::new(MemoryCache::default()), Arc::new(Workers::default()));
        let cards = Arc::new(Cards::new(gpus));
        let told = Arc::new(Mutex::new(busy(0, None)));
        let parameters = [Parameter { name: "a".to_owned(), shape: vec![1] }];
        store.set_parameters(&signature(), &parameters);
        let mut files = Vec::new();
        for (number, name) in (1_u64..).zip(names) {
            let path = PathBuf::from("/m").join(name);
            // Existing files, with times in the order of their names.
            let stamp = Stamp::of(&path).unwrap_or_else(|_| stamp(number, number.into()));
            store.remember(&path, &stamp, &known(&stamp, identified(name)));
            files.push((path, stamp));
        }
        let mut owners = Owners::new(
            config,
            Library::open(data.path()).unwrap(),
            store.clone(),
            workers.clone(),
            cards.clone(),
            Box::new(Told(told.clone())),
            Mailbox(sender),
        );
        // The memory of the machine that runs the tests must not matter.
        owners.gate.set_free_memory(|| None);
        owners.gate.forget_power();
        owners.jobs.set_builders(1);
        owners.step(Event::Gpus(cards.list()));
        owners.inventory.blindfold();
        owners.step(runtime());
        let look = owners.inventory.pretend_look();
        owners.step(Event::Files(inventory::FileEvent::Found(look, files)));
        owners.step(Event::Files(inventory::FileEvent::Scanned(look, Scan::default())));
        owners.timers.now();
        owners.step(Event::Files(inventory::FileEvent::Looked(Vec::new())));
        let mut stage = Self { owners, messages, told, workers, cards, store, data };
        if build == BuildWhen::Always {
            stage.look_if_due().await;
        }
        stage
    }

    /// Samples the machine once, with the result `sample`.
    pub(crate) async fn look(&mut self, sample: &Sample) {
        *self.told.lock().unwrap() = sample.clone();
        self.owners.begin_due(Instant::now());
        loop {
            // This time passes only when nothing else is pending.
            let message = timeout(LOOK, self.messages.recv()).await.expect("nobody looks");
            let message = message.unwrap();
            let is_it = matches!(message, Event::Sampled(..));
            self.owners.step(message);
            if is_it {
                break;
            }
        }
        advance(LOOK).await;
        yield_now().await;
    }

    /// Samples idle GPUs, if a sample is due.
    pub(crate) async fn look_if_due(&mut self) {
        let idle = readings(&vec![0; self.owners.gate.gpus().len()]);
        *self.told.lock().unwrap() = idle.clone();
        self.owners.begin_due(Instant::now());
        if self.owners.gate.is_looking() {
            self.look(&idle).await;
        }
    }

    pub(crate) async fn look_for(&mut self, seconds: f64, sample: &Sample) {
        for _ in 0..(seconds / LOOK.as_secs_f64()) as usize {
            self.look(sample).await;
        }
    }

    /// Handles messages as they come until this holds.
    ///
    /// # Panics
    /// If none comes, or an hour of the daemon's own time has passed.
    pub(crate) async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(3600);
        while !holds(self) {
            assert!(Instant::now() < end, "it does not come to that");
            self.owners.begin_due(Instant::now());
            let message = timeout(Duration::from_secs(900), self.messages.recv()).await;
            self.owners.step(message.expect("nothing happens").unwrap());
            self.refresh();
        }
    }

    /// Handles a message if there is one, and lets others go on.
    pub(crate) async fn step_if_any(&mut self) {
        match self.messages.try_recv() {
            Ok(message) => self.owners.step(message),
            Err(_) => yield_now().await,
        }
    }

    pub(crate) fn ask(&mut self, request: Request) {
        let answer = self.answer(request);
        assert!(!matches!(answer, Reply::Failed(_)), "{answer:?}");
    }

    /// Returns the reply to a request.
    pub(crate) fn answer(&mut self, request: Request) -> Reply {
        let (reply, mut answer) = oneshot::channel();
        self.owners.step(Event::Ask(request, reply));
        answer.try_recv().unwrap()
    }

    /// The entries of `list`.
    pub(crate) fn list(&self) -> &BTreeMap<EntryKey, Checkpoint> {
        self.owners.clients.list(&self.owners.snapshot())
    }

    /// Reconciles after a change by the test.
    pub(crate) fn refresh(&mut self) {
        self.owners.timers.now();
        self.owners.step(Event::Files(inventory::FileEvent::Looked(Vec::new())));
    }

    /// Changes the driver's version, and looks at the machine again.
    pub(crate) fn update_driver(&mut self, version: &str) {
        self.cards.update(version);
        self.list_gpus();
        self.refresh();
    }

    /// Changes a GPU's model.
    pub(crate) fn name_gpu(&mut self, index: usize, name: &str) {
        self.cards.name(index, name);
        self.list_gpus();
        self.refresh();
    }

    /// Adds a GPU.
    pub(crate) fn plug_in(&mut self, name: &str) {
        self.cards.plug_in(name);
        self.list_gpus();
        self.refresh();
    }

    fn list_gpus(&mut self) {
        self.owners.step(Event::Gpus(self.cards.list()));
        self.owners.step(runtime());
    }

    /// Ends the running job that started last.
    pub(crate) fn end(&mut self, result: Result<Done, Failure>) {
        let job = self.owners.jobs.work().last().expect("nobody is at work").want.job;
        self.owners.step(Event::Ended(job, result));
    }

    /// Ends the running build with a plan.
    pub(crate) fn end_build(&mut self) {
        let job = self.job();
        assert_eq!(job.task, Task::Build);
        self.end(Ok(leave_plan(&job)));
    }

    /// Ends a running build with a plan, whatever started after it.
    pub(crate) fn end_a_build(&mut self) {
        let is_build = |running: &&RunningJob| running.job.task == Task::Build;
        let running = self.owners.jobs.running().iter().find(is_build).expect("nothing is built");
        let (done, job) = (leave_plan(&running.job), running.work.want.job);
        self.owners.step(Event::Ended(job, Ok(done)));
    }

    /// Stops the daemon while its build is being written, which then ends with a plan.
    pub(crate) async fn stop_while_writing(&mut self) {
        let job = self.job();
        let phase = Progress { phase: Phase::Write, percent: 0 };
        self.owners.step(Event::Progress(job.spec.key(), phase));
        let ended = Event::Ended(job.spec.key(), Ok(leave_plan(&job)));
        self.owners.mailbox.send(ended);
        self.owners.stop(&mut self.messages).await;
    }

    /// Ends the running validation.
    pub(crate) fn end_validation(&mut self, relative_error: Option<f64>) {
        assert!(matches!(self.job().task, Task::Validate(_)));
        self.end(Ok(Done::Validated(findings(relative_error))));
    }

    /// The running job that started last.
    pub(crate) fn job(&self) -> Job {
        self.owners.jobs.running().last().expect("nobody is at work").job.clone()
    }

    /// The GPUs with a running job, and whether it is a validation.
    pub(crate) fn at_work(&self) -> Vec<(String, bool)> {
        let jobs = self.owners.jobs.running().iter().map(|running| &running.job);
        let gpu = |job: &Job| job.gpu.clone().unwrap_or_default();
        jobs.map(|job| (gpu(job), matches!(job.task, Task::Validate(_)))).collect()
    }

    /// State and error of each engine in the index.
    pub(crate) fn offered(&self) -> Vec<(String, Option<f64>)> {
        let index = fs::read(self.data.path().join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let all = ["signatures", "checkpoints"].map(|key| index[key].as_array().unwrap());
        let engines = all.into_iter().flatten().flat_map(|c| c["engines"].as_array().unwrap());
        let state = |engine: &Value| engine["state"].as_str().unwrap().to_owned();
        engines.map(|engine| (state(engine), engine["relative_error"].as_f64())).collect()
    }

    /// Why each job is in the queue.
    pub(crate) fn queue(&self) -> Vec<String> {
        self.owners.status().queue.into_iter().map(|queued| queued.why).collect()
    }

    /// The number of workers started and stopped so far.
    pub(crate) fn workers(&self) -> (usize, usize) {
        self.workers.started_and_stopped()
    }

    /// State and reason of the only checkpoint.
    pub(crate) fn shown(&self) -> (State, String) {
        let [only] = self.list().values().collect::<Vec<_>>()[..] else { panic!("not one") };
        (only.state, only.reason.clone().unwrap_or_default())
    }
}

/// TensorRT was found.
fn runtime() -> Event {
    let runtime = Runtime { version: "1.7.1.116".to_owned(), libraries: None };
    Event::Runtime(Ok(runtime), None)
}

/// A GPU that python uses this much.
pub(crate) fn busy(percent: u32, webui: Option<WebUiReading>) -> Sample {
    Sample { webui, ..readings(&[percent]) }
}

/// GPUs that python uses this much.
pub(crate) fn readings(percents: &[u32]) -> Sample {
    let python = GpuProcess {
        pid: 4242,
        name: Some("python".to_owned()),
        compute: true,
        ..GpuProcess::default()
    };
    let reading = |percent: &u32| GpuReading {
        utilisation: Some(*percent),
        processes: Some(vec![python.clone()]),
        ..GpuReading::default()
    };
    let gpus = Ok(percents.iter().map(reading).collect());
    Sample { cpu: Some(0), ..Sample::of(gpus) }
}
