//! The published engines, and what was found out about them.

mod kept;
mod leftovers;
pub(crate) mod proofs;
pub(crate) mod timings;
pub(crate) mod unusable;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
};

use anyhow::Result;
use checkpoint::Id;
use engine::{Job, Library, Manifest, Removal, Usage, Validation};
use tempfile::TempDir;
use tracing::warn;

pub(crate) use leftovers::{Leftover, LeftoversInUse};
pub(crate) use proofs::Proofs;
pub(crate) use timings::Timings;
pub(crate) use unusable::Unusables;

/// The engines on disk, their use, and what was found out about them.
pub(crate) struct EngineLibrary {
    library: Library,
    data_dir: PathBuf,
    /// Errors against PyTorch in the web UI.
    proofs: Proofs,
    /// How long engines and PyTorch take in the web UI.
    timings: Timings,
    /// Calls at which engines failed in the web UI.
    unusable: Unusables,
    /// Free bytes on the engines' disk, measured while nothing was being built, or why they are unknown.
    free: Result<u64, String>,
    /// Engines to remove whatever their use.
    condemned: BTreeMap<Id, Removal>,
    /// What could not be removed recently, and why.
    stuck: HashMap<PathBuf, String>,
    /// Why usage can't be written at present.
    problem: Option<String>,
}

impl EngineLibrary {
    /// Opens the engines of this data folder.
    pub(crate) fn new(library: Library, data_dir: &Path) -> Self {
        Self {
            library,
            data_dir: data_dir.to_owned(),
            proofs: Proofs::new(),
            timings: Timings::new(),
            unusable: Unusables::new(),
            free: Ok(0),
            condemned: BTreeMap::new(),
            stuck: HashMap::new(),
            problem: None,
        }
    }

    /// The engines and their manifests.
    pub(crate) fn engines(&self) -> &Library {
        &self.library
    }

    /// Errors against PyTorch in the web UI.
    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// How long engines and PyTorch take in the web UI.
    pub(crate) fn timings(&self) -> &Timings {
        &self.timings
    }

    /// Calls at which engines failed in the web UI.
    pub(crate) fn unusable(&self) -> &Unusables {
        &self.unusable
    }

    /// Free bytes on the engines' disk, or why they are unknown.
    pub(crate) fn free(&self) -> &Result<u64, String> {
        &self.free
    }

    /// Engines to remove whatever their use.
    pub(crate) fn condemned(&self) -> &BTreeMap<Id, Removal> {
        &self.condemned
    }

    /// Plans and files that could not be removed recently, and why.
    pub(crate) fn stuck(&self) -> &HashMap<PathBuf, String> {
        &self.stuck
    }

    /// Creates an empty folder for one job, on the engines' disk; dropping it deletes it.
    ///
    /// # Errors
    /// If it can't be created.
    pub(crate) fn scratch(&self) -> io::Result<TempDir> {
        self.library.scratch()
    }

    /// Measures the free space.
    pub(crate) fn record_free(&mut self) {
        let free = self.library.free_bytes();
        let data_dir = self.data_dir.display();
        self.free =
            free.map_err(|error| format!("cannot tell how much of {data_dir} is free: {error}"));
    }

    /// Reads what the web UI found out about engines.
    pub(crate) fn record_findings(&mut self) {
        self.proofs = proofs::read(&self.data_dir.join("proofs"));
        self.timings = timings::read(&self.data_dir.join("timings"));
        self.unusable = unusable::read(&self.data_dir.join("unusable"));
    }

    /// Publishes a job's plan. A rebuilt engine must be compared again.
    ///
    /// # Errors
    /// If a file can't be written or moved; then nothing is published.
    pub(crate) fn record_plan(&mut self, job: &Job, manifest: Manifest) -> Result<()> {
        self.record_pulled(&job.plan(), manifest)
    }

    /// The same of a plan that was taken from a store and lies at `plan`.
    ///
    /// # Errors
    /// If a file can't be written or moved; then nothing is published.
    pub(crate) fn record_pulled(&mut self, plan: &Path, manifest: Manifest) -> Result<()> {
        let engine = manifest.key;
        self.library.publish_plan(plan, manifest)?;
        proofs::forget(&self.data_dir.join("proofs"), &engine);
        self.proofs.retain(|(known, _), _| *known != engine);
        timings::forget(&self.data_dir.join("timings"), &engine);
        self.timings.remove(&engine);
        unusable::forget(&self.data_dir.join("unusable"), &engine);
        self.unusable.retain(|(known, _), _| *known != engine);
        Ok(())
    }

    /// Records an engine's validation.
    ///
    /// # Errors
    /// If the manifest can't be written; then it stays unchanged.
    pub(crate) fn record_validation(&mut self, engine: &Id, validation: Validation) -> Result<()> {
        self.library.add_validation(engine, validation)
    }

    /// Pins or unpins an engine.
    ///
    /// # Errors
    /// If that can't be written; then it is lost when the daemon ends.
    pub(crate) fn record_pin(&mut self, engine: &Id, pinned: bool) -> Result<()> {
        let Some(usage) = self.library.usage(engine).copied() else { return Ok(()) };
        self.library.set_usage(engine, Usage { pinned, ..usage })
    }

    /// Records a request for these engines, at a time in seconds since 1970.
    pub(crate) fn record_use(&mut self, engines: &[Id], now: u64) {
        for engine in engines {
            if let Some(usage) = self.library.usage(engine).copied() {
                self.record_usage(engine, Usage { last_used: now, ..usage });
            }
        }
    }

    /// Records how an engine is used.
    pub(crate) fn record_usage(&mut self, engine: &Id, usage: Usage) {
        let written = self.library.set_usage(engine, usage);
        self.note(written);
    }

    /// Writes usage that could not be written before.
    pub(crate) fn write_usages(&mut self) {
        let written = self.library.write_usages();
        self.note(written);
    }

    /// Why usage can't be written at present.
    pub(crate) fn problem(&self) -> Option<&String> {
        self.problem.as_ref()
    }

    fn note(&mut self, written: Result<()>) {
        let problem = written.err().map(|error| format!("{error:#}"));
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.problem) {
            warn!("{problem}; it is tried again");
        }
        self.problem = problem;
    }

    /// Records that an engine is to be removed.
    pub(crate) fn record_condemned(&mut self, engine: Id, removal: Removal) {
        self.condemned.insert(engine, removal);
    }

    /// Lets the next attempt remove what could not be removed.
    pub(crate) fn forget_stuck(&mut self) {
        self.stuck.clear();
    }

    /// Removes an engine.
    ///
    /// # Errors
    /// If a file can't be removed; that is recorded too.
    pub(crate) fn remove(&mut self, engine: &Id, removal: Removal) -> Result<()> {
        self.condemned.remove(engine);
        let removed = self.library.remove(engine, removal);
        if let Err(error) = &removed {
            self.stuck.insert(self.library.plan(engine), format!("{error:#}"));
        }
        removed
    }

    /// Removes a leftover file; returns whether that succeeded.
    pub(crate) fn remove_leftover(&mut self, leftover: &Leftover) -> bool {
        let Err(error) = std::fs::remove_file(&leftover.path) else { return true };
        let problem = format!("cannot remove {}: {error}", leftover.path.display());
        warn!("{problem}");
        self.stuck.insert(leftover.path.clone(), problem);
        false
    }

    /// Returns the files about engines that neither exist nor may be built.
    pub(crate) fn leftovers(&self, in_use: &LeftoversInUse) -> Vec<Leftover> {
        leftovers::find(&self.data_dir, in_use)
    }
}
