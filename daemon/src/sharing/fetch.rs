//! Takes an engine from the store in place of building it, and kernels in place of compiling them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use engine::{
    Built, EngineSpec, Job, Manifest, Task, Validation, Weights, kernels_file, kernels_folder,
    kernels_root,
};
use tracing::{info, warn};

use super::{Link, Links, Model};
use crate::jobs::{Builder, Doing, Done, Fetched, Hear};

/// Does jobs as another does, but asks the store first.
pub(super) struct StoreFirst {
    links: Links,
    data_dir: PathBuf,
    builder: Arc<dyn Builder>,
}

impl StoreFirst {
    pub(super) fn new(links: Links, data_dir: PathBuf, builder: Arc<dyn Builder>) -> Self {
        Self { links, data_dir, builder }
    }
}

impl Builder for StoreFirst {
    fn start(&self, job: Job, hear: Hear) -> Doing {
        let Some(link) = self.links.link() else { return self.builder.start(job, hear) };
        let (models, builder) = (self.links.models(), self.builder.clone());
        let data_dir = self.data_dir.clone();
        match &job.task {
            Task::Build => Box::pin(async move {
                match fetch(&link, &job, &models, &data_dir).await {
                    Some(fetched) => Ok(Done::Fetched(Box::new(fetched))),
                    None => builder.start(job, hear).await,
                }
            }),
            Task::Validate(_) => Box::pin(async move {
                fetch_kernels_for(&link, &job).await;
                builder.start(job, hear).await
            }),
            Task::Materialize { .. } => builder.start(job, hear),
        }
    }
}

/// Removes what is left of kernels that were being fetched when a daemon was killed.
pub(super) fn sweep(data_dir: &Path) {
    let folders = fs::read_dir(kernels_root(data_dir)).into_iter().flatten().flatten();
    for folder in folders.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        if let Err(error) = store::sweep(&folder) {
            warn!("cannot clean {}: {error}", folder.display());
        }
    }
}

/// Puts a job's plan from the store where its worker would write it. `None` if there is none that can be trusted.
async fn fetch(link: &Link, job: &Job, models: &[Model], data_dir: &Path) -> Option<Fetched> {
    // Weights belong to whoever has them, and are not shared.
    if !matches!(job.spec.weights, Weights::Shared(_)) {
        return None;
    }
    let key = job.spec.key();
    let shared = link.ask(|store| async move { store.engine(&key).await }).await??;
    if let Some(problem) = problem(&shared.manifest, &job.spec) {
        link.refuse(format!("engine {} in the store: {problem}; it is built here", key.short()));
        return None;
    }
    let (plan, manifest) = (job.plan(), shared.manifest.clone());
    link.ask(|store| async move { store.fetch_plan(&shared, &plan).await }).await?;
    let validations = validations(link, &manifest, models).await;
    fetch_kernels(link, &manifest, models, data_dir).await;
    link.record_engine();
    info!(engine = %key.short(), bytes = manifest.bytes, "taken from the store");
    Some(Fetched { built: built(manifest), validations })
}

/// Why the engine with this manifest is not the one that this machine would build, if so.
pub(super) fn problem(manifest: &Manifest, wanted: &EngineSpec) -> Option<String> {
    if manifest.spec != *wanted {
        return Some("it is another engine than its name says".to_owned());
    }
    if manifest.is_former() {
        return Some("an earlier release has built it".to_owned());
    }
    manifest.binding.is_none().then(|| "it does not say how its inputs are made".to_owned())
}

/// What a worker would have told of this plan.
pub(super) fn built(manifest: Manifest) -> Built {
    let Manifest { bytes, blake3, peak_bytes, binding, accumulation, .. } = manifest;
    Built { bytes, blake3, peak_bytes, binding, accumulation, weights: None }
}

/// What others found of an engine on GPU models and drivers of this machine.
pub(super) async fn validations(
    link: &Link,
    manifest: &Manifest,
    models: &[Model],
) -> Vec<Validation> {
    let mut found = Vec::new();
    for Model { name, driver } in models {
        let machine = kernels_folder(name, driver, &manifest.spec.version);
        let key = manifest.key;
        let asked = link.ask(|store| async move { store.validation(&machine, &key).await }).await;
        // Two models may have one folder's name.
        let is_of_it = |one: &Validation| one.gpu == *name && one.driver == *driver;
        found.extend(
            asked.flatten().filter(is_of_it).map(|one| Validation { borrowed: true, ..one }),
        );
    }
    found
}

/// Takes the kernels of an engine for the GPUs of this machine, where it has none.
pub(super) async fn fetch_kernels(
    link: &Link,
    manifest: &Manifest,
    models: &[Model],
    data_dir: &Path,
) {
    for Model { name, driver } in models {
        let machine = kernels_folder(name, driver, &manifest.spec.version);
        let kernels = kernels_file(data_dir, &machine, &manifest.key);
        fetch_kernels_to(link, machine, manifest.key, &kernels).await;
    }
}

/// Takes the kernels that a validation would compile.
async fn fetch_kernels_for(link: &Link, job: &Job) {
    let Task::Validate(published) = &job.task else { return };
    let folder = published.kernels.parent().and_then(Path::file_name);
    let Some(machine) = folder.map(|name| name.to_string_lossy().into_owned()) else { return };
    fetch_kernels_to(link, machine, job.spec.key(), &published.kernels).await;
}

async fn fetch_kernels_to(link: &Link, machine: String, key: checkpoint::Id, to: &Path) {
    if to.exists() {
        return;
    }
    if let Some(folder) = to.parent() {
        // Without a folder there are no kernels, which are compiled then.
        let _ = fs::create_dir_all(folder);
    }
    let path = to.to_owned();
    let taken = link.ask(|store| async move { store.fetch_kernels(&machine, &key, &path).await });
    if taken.await == Some(true) {
        info!(engine = %key.short(), "kernels taken from the store");
    }
}
