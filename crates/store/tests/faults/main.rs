//! A store at an address that lies, breaks off and hangs: nothing wrong, foreign, old or torn is ever returned, and once
//! it is well again all is fetched.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

#[path = "../common/mod.rs"]
mod common;
mod server;
mod world;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{random::Random, serve::serve};
use server::{Fault, Server};
use store::{Limits, Refusal, Store, StoreError, Trust};
use tempfile::TempDir;
use world::{MACHINE, Truth, World};

/// Faults of a run; SDTRT_TEST_FAULTS names another number.
const FAULTS: u64 = 10_000;

/// Fetched at once.
const TASKS: usize = 32;

/// Rounds of a task until the store is opened again, as after a restart of the daemon.
const ROUNDS: usize = 20;

/// How often each thing ended how.
type Ends = BTreeMap<String, u64>;

struct Run {
    world: Arc<World>,
    address: String,
    folder: TempDir,
    ends: Mutex<Ends>,
}

impl Run {
    fn open(&self, limits: Limits) -> Store {
        let trust = Trust::new(vec![self.world.trusted.clone()]);
        let seen = self.folder.path().join("seen");
        Store::open(&self.address.parse().unwrap(), trust, None, Some(seen), limits).unwrap()
    }

    fn note(&self, what: &str, end: &str) {
        *self.ends.lock().unwrap().entry(format!("{what}: {end}")).or_default() += 1;
    }

    /// Asks for one thing; what comes back must be the truth.
    async fn ask(&self, store: &Store, truth: &Truth, what: usize, to: &Path) -> bool {
        let key = &truth.manifest.key;
        let (what, result) = match what {
            0 => ("engine", self.engine(store, truth, to).await),
            1 => {
                let fetched = store.fetch_kernels(MACHINE, key, to).await;
                let file = fetched.as_ref().is_ok_and(|found| *found).then_some(&truth.kernels);
                assert_file(to, file, "kernels");
                ("kernels", fetched)
            }
            2 => {
                let found = store.validation(MACHINE, key).await;
                ("validation", found.map(|found| is_truth(found, &truth.validation)))
            }
            _ => {
                let (evidence, content) = &truth.content;
                let found = store.content::<String>(evidence).await;
                ("content", found.map(|found| is_truth(found, content)))
            }
        };
        let end = match &result {
            Ok(true) => "there".to_owned(),
            Ok(false) => "none".to_owned(),
            Err(error) => end(error),
        };
        self.note(what, &end);
        let _ = fs::remove_file(to);
        matches!(result, Ok(true))
    }

    async fn engine(&self, store: &Store, truth: &Truth, to: &Path) -> Result<bool, StoreError> {
        let Some(engine) = store.engine(&truth.manifest.key).await? else { return Ok(false) };
        assert_eq!(engine.manifest, truth.manifest, "a manifest that is not the truth");
        let fetched = store.fetch_plan(&engine, to).await;
        assert_file(to, fetched.is_ok().then_some(&truth.plan), "plan");
        fetched.map(|()| true)
    }
}

/// Whether there is something; it must be this.
fn is_truth<T: PartialEq + std::fmt::Debug>(found: Option<T>, truth: &T) -> bool {
    if let Some(found) = &found {
        assert_eq!(found, truth, "something that is not the truth");
    }
    found.is_some()
}

/// The file is this, or nothing.
fn assert_file(path: &Path, expected: Option<&Vec<u8>>, what: &str) {
    let found = fs::read(path).ok();
    assert!(found.as_ref() == expected, "a {what} that is torn or wrong");
}

/// How it ended, without what differs from one time to the next. The machine itself is well, so no file is to blame.
fn end(error: &StoreError) -> String {
    let refused = |refusal: &Refusal| format!("{refusal:?}");
    let end = match error {
        StoreError::Refused { refusal, .. } => refused(refusal),
        StoreError::Away { .. } => "Away".to_owned(),
        other => panic!("{other:?}"),
    };
    end.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Patient enough for a busy machine, and no more.
fn impatient() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        stall: Duration::from_millis(30),
        small: Duration::from_millis(200),
        retries: 1,
        retry_within: Duration::from_millis(50),
        blob_bytes: 1 << 20,
        ..Limits::default()
    }
}

async fn all_is_fetched(run: &Run, limits: Limits) {
    let store = run.open(limits);
    let to = run.folder.path().join("whole");
    for truth in &run.world.truths {
        for what in 0..4 {
            assert!(run.ask(&store, truth, what, &to).await, "{what} of {}", truth.manifest.key);
        }
    }
}

async fn one_task(
    run: Arc<Run>,
    store: Store,
    server: Server,
    number: usize,
    until: u64,
    seed: u64,
) {
    let mut random = Random::new(seed ^ (number as u64) << 32);
    let to = run.folder.path().join(format!("fetched-{number}"));
    for _ in 0..ROUNDS {
        let truth = random.pick(&run.world.truths);
        run.ask(&store, truth, random.below(4), &to).await;
        if server.counts().values().sum::<u64>() >= until {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_wrong_is_ever_returned_and_all_is_fetched_in_the_end() {
    let number = |name| env::var(name).ok().and_then(|text: String| text.parse().ok());
    let faults = number("SDTRT_TEST_FAULTS").unwrap_or(FAULTS);
    let seed = number("SDTRT_TEST_SEED").unwrap_or(28);
    let world = World::new(seed);
    let server = Server::new(Arc::clone(&world), seed);
    let address = format!("http://{}/sdtrt", serve(server.clone()).await);
    let folder = tempfile::tempdir().unwrap();
    let run = Arc::new(Run { world, address, folder, ends: Mutex::default() });

    // What was seen once makes what came before a replay.
    all_is_fetched(&run, Limits::default()).await;
    server.faults(true);
    let mut rounds = 0;
    while server.counts().values().sum::<u64>() < faults {
        let store = run.open(impatient());
        let task = |number| {
            let (run, store, server) = (Arc::clone(&run), store.clone(), server.clone());
            tokio::spawn(one_task(run, store, server, number + rounds * TASKS, faults, seed))
        };
        let tasks: Vec<_> = (0..TASKS).map(task).collect();
        for task in tasks {
            task.await.unwrap();
        }
        rounds += 1;
    }
    server.faults(false);
    all_is_fetched(&run, Limits::default()).await;

    let left: Vec<PathBuf> =
        fs::read_dir(run.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [run.folder.path().join("seen")], "nothing is left aside");
    let (counts, ends) = (server.counts(), run.ends.lock().unwrap().clone());
    println!("faults: {counts:?}\nends: {ends:#?}");
    for fault in Fault::ALL {
        assert!(counts.get(&fault).is_some_and(|count| *count >= faults / 200), "{fault:?}");
    }
    for refusal in ["Unsigned", "Foreign", "Damaged", "Swapped", "Replayed", "Away", "there"] {
        assert!(
            ends.keys().any(|end| end.ends_with(&format!(": {refusal}"))),
            "{refusal}: {ends:?}"
        );
    }
}
