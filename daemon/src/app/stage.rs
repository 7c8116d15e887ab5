//! The actor on a stage: a machine that is idle or busy, and workers that end, as a test says. Time
//! moves only when told to.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use checkpoint::Id;
use config::{BuildWhen, Config, EngineKind};
use protocol::{GpuProcess, GpuReading, Reply, Request, State};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{Duration, Instant, advance, timeout},
};

use super::{
    actor::Actor,
    messages::{Mailbox, Message},
    sampler::Sampler,
};
use crate::{
    build::{Builder, Built, Doing, Done, Failure, Hear, Job, Library, Runtime, Task},
    gpu::{Gpu, Gpus, Lost},
    samples::{findings, identified},
    schedule::Sample,
    store::{Memory, Store},
    watch::{Scan, Stamp},
    webui::WebUiReading,
};

/// Between two looks at the machine.
const LOOK: Duration = Duration::from_millis(500);

/// The machine must have been idle for so many seconds.
pub(super) const WINDOW_S: f64 = 10.0;

/// Workers that end when a test says so.
#[derive(Default)]
pub(super) struct Workers {
    started: Mutex<Vec<Job>>,
    stopped: Arc<AtomicUsize>,
}

struct Worker(Arc<AtomicUsize>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Builder for Workers {
    fn start(&self, job: Job, _: Hear) -> Doing {
        self.started.lock().unwrap().push(job);
        let worker = Worker(self.stopped.clone());
        Box::pin(async move {
            let _worker = worker;
            std::future::pending().await
        })
    }
}

/// GPUs with a driver of this version.
struct Cards(usize, Mutex<String>);

impl Gpus for Cards {
    fn list(&self) -> Vec<Gpu> {
        let gpu = |index| Gpu {
            uuid: format!("GPU-{index}"),
            name: "a GPU".to_owned(),
            compute_capability: "8.9".parse().unwrap(),
            driver: self.1.lock().unwrap().clone(),
        };
        (0..self.0).map(gpu).collect()
    }

    fn read(&self, _: &[Gpu]) -> Result<Vec<GpuReading>, Lost> {
        unreachable!("the sampler is a test's own")
    }

    fn rest(&self) {}
}

struct Told(Arc<Mutex<Sample>>);

impl Sampler for Told {
    fn sample(&mut self, _: &[Gpu]) -> Sample {
        self.0.lock().unwrap().clone()
    }

    fn rest(&mut self) {}
}

pub(super) struct Stage {
    pub(super) actor: Actor,
    messages: mpsc::UnboundedReceiver<Message>,
    told: Arc<Mutex<Sample>>,
    workers: Arc<Workers>,
    cards: Arc<Cards>,
    pub(super) data: TempDir,
}

impl Stage {
    /// A daemon that knows these checkpoints, the newest last, and has built nothing.
    pub(super) async fn new(gpus: usize, build: BuildWhen, names: &[&str]) -> Self {
        Self::with(gpus, build, EngineKind::Baked, names).await
    }

    pub(super) async fn with(
        gpus: usize,
        build: BuildWhen,
        engines: EngineKind,
        names: &[&str],
    ) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = Config {
            models_dirs: vec!["/m".into()],
            data_dir: data.path().to_owned(),
            engines: Some(engines),
            idle_seconds: WINDOW_S,
            build,
            ..Config::default()
        };
        let (sender, messages) = mpsc::unbounded_channel();
        let (store, workers) = (Arc::new(Memory::default()), Arc::new(Workers::default()));
        let cards = Arc::new(Cards(gpus, Mutex::new("1".to_owned())));
        let told = Arc::new(Mutex::new(busy(0, None)));
        let mut files = Vec::new();
        for (number, name) in (1_u64..).zip(names) {
            let stamp = Stamp { device: 1, inode: number, size: 1, mtime_ns: number.into() };
            store.remember(&stamp, &identified(name));
            files.push((PathBuf::from("/m").join(name), stamp));
        }
        let mut actor = Actor::new(
            config,
            Library::open(data.path()).unwrap(),
            store,
            workers.clone(),
            cards.clone(),
            Box::new(Told(told.clone())),
            Mailbox(sender),
        );
        actor.take(runtime());
        actor.take(Message::Found(files));
        actor.take(Message::Scanned(Scan::default()));
        actor.refresh();
        let mut stage = Self { actor, messages, told, workers, cards, data };
        if build == BuildWhen::Always && gpus > 0 {
            stage.look(&readings(&vec![0; gpus])).await;
        }
        stage
    }

    /// Has the machine looked at once, which finds `sample`.
    pub(super) async fn look(&mut self, sample: &Sample) {
        *self.told.lock().unwrap() = sample.clone();
        self.actor.do_what_is_due(Instant::now());
        // Time that only passes when nothing else is to come.
        let message = timeout(LOOK, self.messages.recv()).await.expect("nobody looks");
        self.actor.take(message.unwrap());
        advance(LOOK).await;
        yield_now().await;
    }

    pub(super) async fn look_for(&mut self, seconds: f64, sample: &Sample) {
        for _ in 0..(seconds / LOOK.as_secs_f64()) as usize {
            self.look(sample).await;
        }
    }

    pub(super) fn ask(&mut self, request: Request) {
        let (reply, mut answer) = oneshot::channel();
        self.actor.ask(request, reply);
        let answer = answer.try_recv().unwrap();
        assert!(!matches!(answer, Reply::Failed(_)), "{answer:?}");
    }

    /// Has the driver be of another version, and the machine looked at anew.
    pub(super) fn update_driver(&mut self, version: &str) {
        version.clone_into(&mut self.cards.1.lock().unwrap());
        self.actor.take(runtime());
        self.actor.refresh();
    }

    /// Ends the job that began last of those under way.
    pub(super) fn end(&mut self, result: Result<Done, Failure>) {
        let job = self.actor.world.work.last().expect("nobody is at work").want.job;
        self.actor.take(Message::Ended(job, result));
    }

    /// Ends the build under way with a plan.
    pub(super) fn end_build(&mut self) {
        let job = self.job();
        assert_eq!(job.task, Task::Build);
        fs::write(job.plan(), "plan").unwrap();
        fs::write(job.constants(), "constants").unwrap();
        let blake3 = Id::from(blake3::hash(b"plan"));
        self.end(Ok(Done::Built(Built { bytes: 4, blake3, peak_bytes: 1 })));
    }

    /// Ends the trial under way.
    pub(super) fn end_trial(&mut self, relative_error: Option<f64>) {
        assert!(matches!(self.job().task, Task::Try(_)));
        self.end(Ok(Done::Tried(findings(relative_error))));
    }

    /// The job that began last of those under way.
    pub(super) fn job(&self) -> Job {
        self.actor.running.last().expect("nobody is at work").job.clone()
    }

    /// The GPUs that are at work, and whether at a trial.
    pub(super) fn at_work(&self) -> Vec<(String, bool)> {
        let jobs = self.actor.running.iter().map(|running| &running.job);
        let gpu = |job: &Job| job.gpu.clone().unwrap_or_default();
        jobs.map(|job| (gpu(job), matches!(job.task, Task::Try(_)))).collect()
    }

    /// State and error of each engine that the web UI is told of.
    pub(super) fn offered(&self) -> Vec<(String, Option<f64>)> {
        let index = fs::read(self.data.path().join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let checkpoints = index["checkpoints"].as_array().unwrap();
        let engines = checkpoints.iter().flat_map(|c| c["engines"].as_array().unwrap());
        let state = |engine: &Value| engine["state"].as_str().unwrap().to_owned();
        engines.map(|engine| (state(engine), engine["relative_error"].as_f64())).collect()
    }

    /// Why each job is in the queue.
    pub(super) fn queue(&self) -> Vec<String> {
        self.actor.status().queue.into_iter().map(|queued| queued.why).collect()
    }

    /// Workers started and stopped so far.
    pub(super) fn workers(&self) -> (usize, usize) {
        let started = self.workers.started.lock().unwrap().len();
        (started, self.workers.stopped.load(Ordering::SeqCst))
    }

    /// State and reason of the only checkpoint.
    pub(super) fn shown(&self) -> (State, String) {
        let [only] = self.actor.list().values().collect::<Vec<_>>()[..] else { panic!("not one") };
        (only.state, only.reason.clone().unwrap_or_default())
    }
}

/// TensorRT is found.
fn runtime() -> Message {
    let runtime = Runtime { version: "1.7.1.116".to_owned(), libraries: None };
    Message::Runtime(Ok(runtime), None)
}

/// A GPU that python uses so much.
pub(super) fn busy(percent: u32, webui: Option<WebUiReading>) -> Sample {
    Sample { webui, ..readings(&[percent]) }
}

/// GPUs that python uses so much.
pub(super) fn readings(percents: &[u32]) -> Sample {
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
    Sample { gpus, memory_free: None, cpu: Some(0), webui: None }
}
