//! The actor on a machine that is idle or busy as a test says. Time moves only when told to.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use config::{Config, EngineKind};
use protocol::{GpuProcess, GpuReading, Request, State};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::yield_now,
    time::{advance, timeout},
};

use super::*;
use crate::{
    app::messages::Mailbox,
    build::{Builder, Doing, Failure, Hear, Job, Library, Runtime},
    gpu::{Gpu, Gpus, Lost},
    samples::identified,
    store::{Memory, Store},
    watch::{Scan, Stamp},
    webui::WebUiReading,
};

const WINDOW_S: f64 = 10.0;

/// Workers that never end by themselves.
#[derive(Default)]
struct Workers {
    started: Mutex<Vec<PathBuf>>,
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
        self.started.lock().unwrap().push(job.checkpoint);
        let worker = Worker(self.stopped.clone());
        Box::pin(async move {
            let _worker = worker;
            std::future::pending().await
        })
    }
}

struct Cards(usize);

impl Gpus for Cards {
    fn list(&self) -> Vec<Gpu> {
        let gpu = |index| Gpu {
            uuid: format!("GPU-{index}"),
            name: "a GPU".to_owned(),
            compute_capability: "8.9".parse().unwrap(),
            driver: "1".to_owned(),
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

struct Stage {
    actor: Actor,
    messages: mpsc::UnboundedReceiver<Message>,
    told: Arc<Mutex<Sample>>,
    workers: Arc<Workers>,
    _data: TempDir,
}

impl Stage {
    /// A daemon that knows these checkpoints, the newest last, and has built nothing.
    fn new(gpus: usize, build: BuildWhen, names: &[&str]) -> Self {
        Self::with(gpus, build, EngineKind::Baked, names)
    }

    fn with(gpus: usize, build: BuildWhen, engines: EngineKind, names: &[&str]) -> Self {
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
        let told = Arc::new(Mutex::new(busy(0, None)));
        let mut scan = Scan::default();
        for (number, name) in (1_u64..).zip(names) {
            let stamp = Stamp { device: 1, inode: number, size: 1, mtime_ns: number.into() };
            store.remember(&stamp, &identified(name));
            scan.files.insert(PathBuf::from("/m").join(name), stamp);
        }
        let mut actor = Actor::new(
            config,
            Library::open(data.path()).unwrap(),
            store,
            workers.clone(),
            Arc::new(Cards(gpus)),
            Box::new(Told(told.clone())),
            Mailbox(sender),
        );
        let runtime = Runtime { version: "1.7.1.116".to_owned(), libraries: None };
        actor.take(Message::Runtime(Ok(runtime), None));
        actor.take(Message::Scanned(scan));
        actor.refresh();
        Self { actor, messages, told, workers, _data: data }
    }

    /// Has the machine looked at once, which finds `sample`.
    async fn look(&mut self, sample: &Sample) {
        *self.told.lock().unwrap() = sample.clone();
        self.actor.do_what_is_due(Instant::now());
        // Time that only passes when nothing else is to come.
        let message = timeout(LOOK, self.messages.recv()).await.expect("nobody looks");
        self.actor.take(message.unwrap());
        advance(LOOK).await;
        yield_now().await;
    }

    async fn look_for(&mut self, seconds: f64, sample: &Sample) {
        for _ in 0..(seconds / LOOK.as_secs_f64()) as usize {
            self.look(sample).await;
        }
    }

    fn ask(&mut self, request: Request) {
        let (reply, mut answer) = oneshot::channel();
        self.actor.ask(request, reply);
        let answer = answer.try_recv().unwrap();
        assert!(!matches!(answer, Reply::Failed(_)), "{answer:?}");
    }

    /// Workers started and stopped so far.
    fn workers(&self) -> (usize, usize) {
        let started = self.workers.started.lock().unwrap().len();
        (started, self.workers.stopped.load(Ordering::SeqCst))
    }

    /// State and reason of the only checkpoint.
    fn shown(&self) -> (State, String) {
        let [only] = self.actor.shown.values().collect::<Vec<_>>()[..] else { panic!("not one") };
        (only.state, only.reason.clone().unwrap_or_default())
    }
}

/// A GPU that python uses so much.
fn busy(percent: u32, webui: Option<WebUiReading>) -> Sample {
    let python = GpuProcess {
        pid: 4242,
        name: Some("python".to_owned()),
        compute: true,
        ..GpuProcess::default()
    };
    let reading = GpuReading {
        utilisation: Some(percent),
        processes: Some(vec![python]),
        ..GpuReading::default()
    };
    Sample { gpus: Ok(vec![reading]), cpu: Some(0), webui }
}

fn cpu(percent: u32) -> Sample {
    Sample { gpus: Ok(Vec::new()), cpu: Some(percent), webui: None }
}

#[tokio::test(start_paused = true)]
async fn a_build_waits_for_an_idle_gpu_makes_room_and_starts_over() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]);
    stage.look_for(1.0, &busy(87, None)).await;
    let waits = "waits until GPU 0 is idle: used by python (pid 4242)".to_owned();
    assert_eq!(stage.shown(), (State::Queued, waits.clone()));
    let status = stage.actor.status();
    let gate = status.gate.as_deref();
    assert_eq!(gate, Some("GPU 0 is at 87 %, used by python (pid 4242)"));
    assert_eq!(status.gpus[0].reading.as_ref().unwrap().utilisation, Some(87));

    stage.look_for(WINDOW_S, &busy(2, None)).await;
    assert_eq!(stage.workers(), (0, 0), "not before the window is over");
    stage.look(&busy(2, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    assert_eq!(stage.shown().0, State::Building);

    for stops in 1..=5 {
        stage.look(&busy(87, None)).await;
        assert_eq!(stage.workers(), (stops, stops), "at once");
        assert_eq!(stage.shown(), (State::Queued, waits.clone()), "no failure");
        stage.look_for(WINDOW_S + 1.0, &busy(2, None)).await;
        assert_eq!(stage.workers(), (stops + 1, stops), "it starts over");
    }
    assert!(stage.actor.world.deaths.is_empty() && stage.actor.world.setbacks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_a_build_and_now_overrides_all() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]);
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.ask(Request::Pause);
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1));
    assert_eq!(stage.shown(), (State::Queued, "waits until `sdtrtctl resume`".to_owned()));
    assert!(stage.actor.status().paused && stage.actor.world.store.is_paused());
    stage.actor.do_what_is_due(Instant::now());
    assert!(stage.actor.gating.due.is_none(), "nobody looks during a pause");

    let now = Request::Build { reference: "a".to_owned(), now: true };
    stage.ask(now.clone());
    assert_eq!(stage.workers(), (2, 1), "in spite of the pause");
    stage.ask(Request::Resume);
    stage.look_for(5.0, &busy(99, None)).await;
    assert_eq!(stage.workers(), (2, 1), "in spite of the GPU");
    stage.ask(Request::Pause);
    yield_now().await;
    assert_eq!(stage.workers(), (2, 2), "the pause came last");
    stage.ask(Request::Resume);
    stage.look_for(1.0, &busy(99, None)).await;
    assert_eq!(stage.workers(), (2, 2), "it was now and is not any more");
    stage.ask(Request::Build { reference: "a".to_owned(), now: false });
    assert_eq!(stage.workers(), (2, 2), "next, but not now");
    stage.ask(now);
    assert_eq!(stage.workers(), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_gpu_a_busy_cpu_holds_up_starts_only() {
    let mut stage = Stage::new(0, BuildWhen::Idle, &["a.safetensors", "b.safetensors"]);
    stage.look_for(WINDOW_S * 2.0, &cpu(90)).await;
    assert_eq!(stage.workers(), (0, 0));
    stage.look_for(WINDOW_S + 1.0, &cpu(10)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.look_for(WINDOW_S, &cpu(100)).await;
    assert_eq!(stage.workers(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn always_means_at_once() {
    let mut stage = Stage::new(1, BuildWhen::Always, &["a.safetensors"]);
    assert_eq!(stage.workers(), (1, 0));
    stage.actor.do_what_is_due(Instant::now());
    assert!(stage.actor.gating.due.is_none(), "nobody looks");
    stage.ask(Request::Pause);
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_that_is_used_comes_before_newer_ones() {
    let names = ["a.safetensors", "sub/b.safetensors", "c.safetensors"];
    let mut stage = Stage::new(1, BuildWhen::Idle, &names);
    let selected = |title: &str| {
        busy(0, Some(WebUiReading { at_work: false, checkpoint: Some(title.to_owned()) }))
    };
    stage.look(&selected("a.safetensors")).await;
    stage.look(&selected("sub/b.safetensors [0123456789]")).await;
    let built: Vec<_> = stage.actor.queue.iter().map(|want| want.weights).collect();
    let expected = [names[1], names[0], names[2]];
    assert_eq!(built, expected.map(|name| Id::from(blake3::hash(name.as_bytes()))));
    // Selected again and again is used once.
    stage.look(&selected("sub/b.safetensors")).await;
    assert_eq!(stage.actor.world.recent.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_rest_waits_for_a_window_of_its_own() {
    let mut stage = Stage::new(1, BuildWhen::Idle, &["a.safetensors"]);
    stage.look_for(WINDOW_S + 1.0, &busy(0, None)).await;
    assert_eq!(stage.workers(), (1, 0));
    stage.ask(Request::Pause);
    stage.actor.do_what_is_due(Instant::now());
    stage.ask(Request::Resume);
    yield_now().await;
    assert_eq!(stage.workers(), (1, 1), "what was seen before the pause does not count");
}

#[tokio::test(start_paused = true)]
async fn checkpoints_whose_engine_cannot_be_shared_get_their_own() {
    let names = ["a.safetensors", "b.safetensors"];
    let mut stage = Stage::with(1, BuildWhen::Always, EngineKind::Shared, &names);
    let engine = |stage: &Stage| stage.actor.world.work.as_ref().map(|work| work.want.engine);
    let shared = engine(&stage).unwrap();
    assert!(stage.actor.queue.is_empty(), "one for both");

    let fixed = Err(Failure::Unshareable(vec!["out.2.weight".to_owned()]));
    stage.actor.take(Message::Ended(shared, fixed));
    let own: Vec<_> = stage.actor.queue.iter().map(|want| want.engine).collect();
    assert_eq!(own.len(), 1);
    assert!(![Some(shared), own.first().copied()].contains(&engine(&stage)));
    assert_eq!(stage.workers().0, 2);
}
