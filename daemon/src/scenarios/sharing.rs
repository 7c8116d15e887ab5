//! Machines that share a store, which is a folder here.

use std::{fs, path::Path, time::Duration};

use config::{BuildWhen, Config, EngineKind, SharedStore, StoreMode};
use engine::{Built, Job, Task};
use protocol::{Outcome, PullOutcome, Reply, Request, State};
use store::SigningKey;
use tempfile::TempDir;
use tokio::sync::oneshot;
use unet::{BINDING_VERSION, Binding};

use crate::{
    event::Event,
    jobs::Done,
    samples::{built, findings},
    scenarios::stage::{Stage, one_preset},
};

/// A folder that machines share, and a key for each of two of them.
struct Nas {
    folder: TempDir,
    keys: [String; 2],
}

impl Nas {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = |name| {
            let key = SigningKey::generate(&folder.path().join(name)).unwrap();
            key.public().to_string()
        };
        let keys = [key("0.key"), key("1.key")];
        fs::create_dir(folder.path().join("store")).unwrap();
        Self { folder, keys }
    }

    fn url(&self) -> String {
        format!("file://{}/store", self.folder.path().display())
    }

    /// The objects below a folder of the store.
    fn objects(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let below = self.folder.path().join("store/v1").join(folder);
        let all = walkdir::WalkDir::new(below).into_iter().filter_map(Result::ok);
        all.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
    }

    /// The configuration of a machine that signs with one of the keys and trusts others.
    fn config(&self, mode: StoreMode, key: usize, trusted: &[usize]) -> Config {
        let store = SharedStore {
            url: self.url(),
            mode,
            trusted_keys: trusted.iter().map(|key| self.keys[*key].clone()).collect(),
            key: Some(self.folder.path().join(format!("{key}.key"))),
        };
        Config { store: Some(store), ..one_preset(EngineKind::Shared, BuildWhen::Always) }
    }

    async fn machine(&self, gpus: usize, mode: StoreMode, key: usize, trusted: &[usize]) -> Stage {
        Box::pin(Stage::of(gpus, self.config(mode, key, trusted), &["a"], |_| ())).await
    }
}

/// Ends the running build with a plan that can be shared.
fn end_build(stage: &mut Stage) {
    let job = stage.job();
    assert_eq!(job.task, Task::Build);
    fs::write(job.plan(), "plan").unwrap();
    stage.end(Ok(Done::Built(plan(&job))));
}

fn plan(_: &Job) -> Built {
    Built {
        binding: Some(Binding { version: BINDING_VERSION, inputs: Vec::new() }),
        ..built(b"plan")
    }
}

/// Waits until so many workers have been started: the store has nothing for them.
async fn starts(stage: &mut Stage, workers: usize) {
    while stage.workers().0 < workers {
        stage.step_if_any().await;
        // No faster than the disk, or the store would seem to be silent for too long.
        std::thread::sleep(Duration::from_millis(1));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

/// A machine that has built an engine and added it to the store.
async fn first(nas: &Nas) -> Stage {
    let mut stage = nas.machine(0, StoreMode::ReadWrite, 0, &[0]).await;
    starts(&mut stage, 1).await;
    end_build(&mut stage);
    assert_eq!(stage.shown().0, State::Ready);
    stage.until(|stage| store(stage).added > 0).await;
    stage
}

/// Asks the daemon to take engines, and returns its answer.
async fn pull(stage: &mut Stage, url: Option<String>, engines: Vec<String>) -> Reply {
    let (reply, mut answer) = oneshot::channel();
    stage.owners.step(Event::Ask(Request::Pull { url, engines }, reply));
    loop {
        match answer.try_recv() {
            Ok(answer) => break answer,
            Err(_) => stage.step_if_any().await,
        }
    }
}

fn store(stage: &Stage) -> protocol::StoreStatus {
    stage.owners.status().store.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_one_machine_has_built_another_takes() {
    let nas = Nas::new();
    let first = first(&nas).await;
    let mut second = nas.machine(0, StoreMode::Read, 1, &[0]).await;
    second.until(|stage| stage.shown().0 == State::Ready).await;
    assert_eq!(second.workers().0, 0, "nothing is built");
    assert_eq!(second.owners.store.history()[0].outcome, Outcome::Fetched);
    assert_eq!(store(&second).engines_taken, 1);
    assert_eq!(second.offered(), first.offered());
    let plans = |stage: &Stage| {
        let manifests = stage.owners.library.engines().manifests().keys();
        manifests
            .map(|key| fs::read(stage.owners.library.engines().plan(key)).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(plans(&second), plans(&first));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_trusted_or_not_whole_is_told_and_built_here() {
    type Harm = fn(&Nas);
    let cases: [(&str, &[usize], Harm, &str); 4] = [
        ("signed by a stranger", &[1], |_| (), "not trusted"),
        (
            "damaged",
            &[0],
            |nas| {
                change(&nas.objects("engines")[0], |bytes| {
                    let last = bytes.len() - 3;
                    bytes[last] ^= 1;
                });
            },
            "signature does not fit",
        ),
        (
            "torn",
            &[0],
            |nas| change(&nas.objects("blobs")[0], |bytes| bytes.truncate(9)),
            "bytes and not",
        ),
        (
            "without its plan",
            &[0],
            |nas| fs::remove_file(&nas.objects("blobs")[0]).unwrap(),
            "missing",
        ),
    ];
    for (what, trusted, harm, said) in cases {
        let nas = Nas::new();
        first(&nas).await;
        harm(&nas);
        let mut second = nas.machine(0, StoreMode::Read, 1, trusted).await;
        starts(&mut second, 1).await;
        let refused = store(&second).refused;
        assert!(refused.len() == 1 && refused[0].contains(said), "{what}: {refused:?}");
        end_build(&mut second);
        assert_eq!(second.shown().0, State::Ready, "{what}");
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_keeps_nothing_from_being_built() {
    let nas = Nas::new();
    // As where nothing is mounted.
    fs::remove_dir(nas.folder.path().join("store")).unwrap();
    let mut stage = nas.machine(0, StoreMode::ReadWrite, 0, &[0]).await;
    starts(&mut stage, 1).await;
    end_build(&mut stage);
    assert_eq!(stage.shown().0, State::Ready);
    stage.until(|stage| store(stage).retry_at.is_some()).await;
    let problem = store(&stage).problem.unwrap();
    assert!(problem.contains("does not answer"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_is_found_out_and_gets_again_what_it_has_lost() {
    let nas = Nas::new();
    let mut stage = first(&nas).await;
    let folder = nas.folder.path().join("store");
    fs::remove_dir_all(&folder).unwrap();
    for _ in 0..3 {
        assert!(matches!(pull(&mut stage, None, Vec::new()).await, Reply::Failed(_)));
    }
    assert!(store(&stage).retry_at.is_some());
    fs::create_dir(&folder).unwrap();
    // Nothing is wanted of it.
    tokio::time::advance(Duration::from_secs(61)).await;
    stage.until(|stage| store(stage).problem.is_none()).await;
    stage.until(|stage| store(stage).added == 2).await;
    assert_eq!(nas.objects("engines").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_daemon_was_fetching_is_removed_at_the_start() {
    let nas = Nas::new();
    let config = nas.config(StoreMode::Read, 1, &[0]);
    let left = |data: &Path| {
        let machine = data.join("kernels/GPU-1-2");
        fs::create_dir_all(&machine).unwrap();
        fs::write(machine.join(".fetched-a1B2c3"), "half").unwrap();
        fs::write(machine.join("1.cache"), "kernels").unwrap();
    };
    let stage = Box::pin(Stage::of(0, config, &[], left)).await;
    let machine = stage.data.path().join("kernels/GPU-1-2");
    let names = fs::read_dir(machine).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["1.cache"]);
}

#[tokio::test(start_paused = true)]
async fn a_validation_on_the_same_model_and_driver_counts_and_is_repeated() {
    let nas = Nas::new();
    let mut first = nas.machine(1, StoreMode::ReadWrite, 0, &[0]).await;
    starts(&mut first, 1).await;
    end_build(&mut first);
    first.look_if_due().await;
    starts(&mut first, 2).await;
    first.end_validation(Some(0.01));
    first.until(|stage| store(stage).added == 2).await;

    let mut second = nas.machine(1, StoreMode::ReadWrite, 1, &[0]).await;
    second.until(|stage| stage.shown().0 == State::Ready).await;
    assert_eq!(second.offered(), [("ready".to_owned(), Some(0.01))]);
    let validation = |stage: &Stage| {
        let manifests = stage.owners.library.engines().manifests();
        manifests.values().next().unwrap().validations[0].clone()
    };
    assert!(validation(&second).borrowed);
    // In time it is made here too, and then it is this machine's own.
    second.look_if_due().await;
    starts(&mut second, 1).await;
    assert!(matches!(second.job().task, Task::Validate(_)));
    second.end(Ok(Done::Validated(findings(Some(0.011)))));
    assert!(!validation(&second).borrowed);
    assert_eq!(second.queue(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_its_key_says_so_and_takes_all_the_same() {
    let nas = Nas::new();
    first(&nas).await;
    fs::remove_file(nas.folder.path().join("1.key")).unwrap();
    let mut second = nas.machine(0, StoreMode::ReadWrite, 1, &[0]).await;
    second.until(|stage| stage.shown().0 == State::Ready).await;
    let problem = store(&second).problem.unwrap();
    assert!(problem.contains("1.key") && problem.contains("store keygen"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn engines_are_taken_from_a_stick_by_name() {
    let nas = Nas::new();
    let first = first(&nas).await;
    let key = *first.owners.library.engines().manifests().keys().next().unwrap();
    let own = one_preset(EngineKind::Shared, BuildWhen::Never);
    let trusting = nas.config(StoreMode::Read, 1, &[0]).store.unwrap();
    let elsewhere = format!("file://{}/none", nas.folder.path().display());
    let config = Config { store: Some(SharedStore { url: elsewhere, ..trusting }), ..own };
    let mut stage = Box::pin(Stage::of(0, config, &["a"], |_| ())).await;
    let start = key.to_string()[..8].to_owned();
    for (url, engines, expected) in [
        (nas.url(), vec!["ffffffff".to_owned()], None),
        (nas.url(), vec![start.clone()], Some(PullOutcome::Taken)),
        (nas.url(), Vec::new(), Some(PullOutcome::Here)),
    ] {
        match (pull(&mut stage, Some(url), engines).await, expected) {
            (Reply::Failed(failure), None) => {
                assert!(failure.to_string().contains("no engine"), "{failure}");
            }
            (Reply::Pulled(pulled), Some(expected)) => {
                let outcomes: Vec<_> = pulled.iter().map(|one| (one.engine, one.outcome)).collect();
                assert_eq!(outcomes, [(key, expected)]);
            }
            (answer, _) => panic!("{answer:?}"),
        }
    }
    stage.refresh();
    assert_eq!(stage.shown().0, State::Ready);
    assert_eq!(stage.workers().0, 0);
}
