//! The store over object_store's own stores in memory and in a folder, and over one that does odd things.

mod blobs;
mod claims;
mod collecting;
mod contents;
mod engines;
mod faults;
mod listing;
mod machines;
mod odd;
mod replays;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use checkpoint::Id;
use engine::{Manifest, Weights, samples};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory};
use tempfile::TempDir;

use crate::{
    Limits, Refusal, SigningKey, Store, StoreError, Trust, backend::Backend, reach::Reach,
};

/// Nothing in tests takes as long.
const SHORT: Duration = Duration::from_millis(100);

/// A place for objects, machines that use it, and what lies there.
struct Place {
    dir: TempDir,
    raw: Arc<dyn ObjectStore>,
    reach: fn(&Place) -> Reach,
    key: SigningKey,
}

impl Place {
    fn memory() -> Self {
        Self::of(Arc::new(InMemory::new()))
    }

    /// Over this one.
    fn of(raw: Arc<dyn ObjectStore>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(&dir.path().join("key")).unwrap();
        Self { dir, raw, reach: |place| Reach::Client(place.raw.clone()), key }
    }

    fn folder() -> Self {
        let place = Self::of(Arc::new(InMemory::new()));
        fs::create_dir(place.root()).unwrap();
        let raw = Arc::new(LocalFileSystem::new_with_prefix(place.root()).unwrap());
        let reach = |place: &Self| Reach::Folder(place.root(), |files| Arc::new(files));
        Self { raw, reach, ..place }
    }

    /// In memory and in a folder.
    fn both() -> [Self; 2] {
        [Self::memory(), Self::folder()]
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// A path of the machine that asks.
    fn at(&self, name: &str) -> PathBuf {
        let here = self.dir.path().join("here");
        fs::create_dir_all(&here).unwrap();
        here.join(name)
    }

    fn trust(&self) -> Trust {
        Trust::new(vec![self.key.public().clone()])
    }

    fn store(&self) -> Store {
        self.store_with(Limits::default())
    }

    fn store_with(&self, limits: Limits) -> Store {
        Store::of(
            Backend::of((self.reach)(self), limits),
            self.trust(),
            Some(self.key.clone()),
            None,
        )
    }

    /// One that signs with another key, and trusts only that.
    fn foreign(&self) -> Store {
        let path = self.at("foreign");
        let key = SigningKey::read(&path).or_else(|_| SigningKey::generate(&path)).unwrap();
        let trust = Trust::new(vec![key.public().clone()]);
        Store::of(Backend::of((self.reach)(self), Limits::default()), trust, Some(key), None)
    }

    async fn get(&self, name: &str) -> Option<Bytes> {
        let got = self.raw.get(&object(name)).await.ok()?;
        Some(got.bytes().await.unwrap())
    }

    async fn put(&self, name: &str, bytes: impl Into<Bytes>) {
        self.raw.put(&object(name), bytes.into().into()).await.unwrap();
    }

    /// Writes a file of this machine.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.at(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Dates what lies in the folder back.
    fn age(&self, name: &str, days: u64) {
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let file = File::options().append(true).open(self.root().join("v1").join(name)).unwrap();
        file.set_modified(then).unwrap();
    }
}

fn object(name: &str) -> object_store::path::Path {
    object_store::path::Path::parse(format!("v1/{name}")).unwrap()
}

/// A plan that compresses, with its manifest.
fn engine(name: &str) -> (Manifest, Vec<u8>) {
    let plan = name.as_bytes().repeat(10_000);
    let mut spec = samples::spec(Weights::Shared(samples::signature()));
    spec.version = name.to_owned();
    let built = samples::built(&plan);
    let manifest = Manifest::new(spec, vec!["default".into()], id(name), built, 7, 1.0);
    let validations = vec![samples::validation("GPU", "1", Some(0.01))];
    (Manifest { validations, ..manifest }, plan)
}

fn id(name: &str) -> Id {
    Id::from(blake3::hash(name.as_bytes()))
}

fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Refusal {
    match result {
        Err(StoreError::Refused { refusal, .. }) => refusal,
        other => panic!("it is not refused: {other:?}"),
    }
}

/// What is not what it says, by the words for it.
fn not_what_it_says<T: std::fmt::Debug>(result: Result<T, StoreError>, part: &str) {
    match refusal(result) {
        Refusal::NotWhatItSays(why) if why.contains(part) => {}
        other => panic!("{other} does not say {part}"),
    }
}

fn is_away<T: std::fmt::Debug>(result: Result<T, StoreError>, part: &str) {
    match result {
        Err(StoreError::Away { reason }) if reason.contains(part) => {}
        other => panic!("it is not away because of {part}: {other:?}"),
    }
}

/// The names of what is in a folder.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What is asked of a store may go on in another thread.
#[allow(dead_code)]
fn all_are_send(
    store: &Store,
    id: &Id,
    path: &Path,
    engine: &crate::SharedEngine,
    found: &engine::Validation,
) {
    fn is_send(_: impl Send) {}
    is_send(store.engine(id));
    is_send(store.fetch_plan(engine, path));
    is_send(store.put_engine(&engine.manifest, path));
    is_send(store.validation("", id));
    is_send(store.put_validation("", id, found));
    is_send(store.fetch_kernels("", id, path));
    is_send(store.put_kernels("", id, path));
    is_send(store.content::<u32>(id));
    is_send(store.put_content(id, &1));
    is_send(store.claim(id, "", None));
    is_send(store.release(id));
    is_send(store.list());
    is_send(store.verify(true));
    is_send(store.gc(&crate::GcPolicy::default(), true));
}
