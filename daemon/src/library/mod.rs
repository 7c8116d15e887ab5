//! The engines that are there, and what was found of them.

mod kept;
mod leftovers;
pub(crate) mod proofs;
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

pub(crate) use leftovers::{InUse as LeftoversInUse, Leftover};
pub(crate) use proofs::Proofs;
pub(crate) use unusable::Unusables;

/// The engines on disk, how they are used, and what was found of them.
pub(crate) struct EngineLibrary {
    library: Library,
    data_dir: PathBuf,
    /// How far engines were off in the web UI.
    proofs: Proofs,
    /// The calls for which engines gave NaN or infinity there.
    unusable: Unusables,
    /// Bytes that were free for engines when last looked at while none was built, or why that is
    /// not known.
    free: Result<u64, String>,
    /// Engines that go because of themselves.
    condemned: BTreeMap<Id, Removal>,
    /// What could not be removed a moment ago, and why.
    stuck: HashMap<PathBuf, String>,
    /// Why how engines are used can't be written at present.
    problem: Option<String>,
}

impl EngineLibrary {
    /// The engines of this data folder.
    pub(crate) fn new(library: Library, data_dir: &Path) -> Self {
        Self {
            library,
            data_dir: data_dir.to_owned(),
            proofs: Proofs::new(),
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

    /// How far engines were off in the web UI.
    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// The calls for which engines gave NaN or infinity there.
    pub(crate) fn unusable(&self) -> &Unusables {
        &self.unusable
    }

    /// Bytes that were free for engines when last looked at, or why that is not known.
    pub(crate) fn free(&self) -> &Result<u64, String> {
        &self.free
    }

    /// Engines that go because of themselves.
    pub(crate) fn condemned(&self) -> &BTreeMap<Id, Removal> {
        &self.condemned
    }

    /// Plans and files that could not be removed a moment ago, and why.
    pub(crate) fn stuck(&self) -> &HashMap<PathBuf, String> {
        &self.stuck
    }

    /// An empty folder for one job, on the engines' disk; it goes when dropped.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn scratch(&self) -> io::Result<TempDir> {
        self.library.scratch()
    }

    /// Looks how much of the disk is free.
    pub(crate) fn record_free(&mut self) {
        let free = self.library.free_bytes();
        let data_dir = self.data_dir.display();
        self.free =
            free.map_err(|error| format!("cannot tell how much of {data_dir} is free: {error}"));
    }

    /// Takes in what the web UI found of engines.
    pub(crate) fn record_findings(&mut self) {
        self.proofs = proofs::read(&self.data_dir.join("proofs"));
        self.unusable = unusable::read(&self.data_dir.join("unusable"));
    }

    /// A job has left a plan. An engine that was built anew is compared anew.
    ///
    /// # Errors
    /// When a file can't be written or moved; then nothing is published.
    pub(crate) fn record_plan(&mut self, job: &Job, manifest: Manifest) -> Result<()> {
        let engine = manifest.key;
        self.library.publish(job, manifest)?;
        proofs::forget(&self.data_dir.join("proofs"), &engine);
        self.proofs.retain(|(known, _), _| *known != engine);
        unusable::forget(&self.data_dir.join("unusable"), &engine);
        self.unusable.retain(|(known, _), _| *known != engine);
        Ok(())
    }

    /// An engine was run on a GPU.
    ///
    /// # Errors
    /// When the manifest can't be written; then it stays as it was.
    pub(crate) fn record_validation(&mut self, engine: &Id, validation: Validation) -> Result<()> {
        self.library.add_validation(engine, validation)
    }

    /// Somebody pins an engine, or unpins it.
    ///
    /// # Errors
    /// When that can't be written; then it holds for this life of the daemon alone.
    pub(crate) fn record_pin(&mut self, engine: &Id, pinned: bool) -> Result<()> {
        let Some(usage) = self.library.usage(engine).copied() else { return Ok(()) };
        self.library.set_usage(engine, Usage { pinned, ..usage })
    }

    /// These engines were asked for, at this time in seconds since 1970.
    pub(crate) fn record_use(&mut self, engines: &[Id], now: u64) {
        for engine in engines {
            if let Some(usage) = self.library.usage(engine).copied() {
                self.record_usage(engine, Usage { last_used: now, ..usage });
            }
        }
    }

    /// An engine is used so.
    pub(crate) fn record_usage(&mut self, engine: &Id, usage: Usage) {
        let written = self.library.set_usage(engine, usage);
        self.note(written);
    }

    /// Writes how engines are used where that could not be written before.
    pub(crate) fn write_usages(&mut self) {
        let written = self.library.write_usages();
        self.note(written);
    }

    /// Why how engines are used can't be written at present.
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

    /// An engine is to go.
    pub(crate) fn record_condemned(&mut self, engine: Id, removal: Removal) {
        self.condemned.insert(engine, removal);
    }

    /// What could not be removed may be by now.
    pub(crate) fn forget_stuck(&mut self) {
        self.stuck.clear();
    }

    /// Removes an engine.
    ///
    /// # Errors
    /// When a file can't be removed; that is noted too.
    pub(crate) fn remove(&mut self, engine: &Id, removal: Removal) -> Result<()> {
        self.condemned.remove(engine);
        let removed = self.library.remove(engine, removal);
        if let Err(error) = &removed {
            self.stuck.insert(self.library.plan(engine), format!("{error:#}"));
        }
        removed
    }

    /// Removes a file about engines that are gone; whether that went well.
    pub(crate) fn remove_leftover(&mut self, leftover: &Leftover) -> bool {
        let Err(error) = std::fs::remove_file(&leftover.path) else { return true };
        let problem = format!("cannot remove {}: {error}", leftover.path.display());
        warn!("{problem}");
        self.stuck.insert(leftover.path.clone(), problem);
        false
    }

    /// What was written about engines that are neither there nor to come.
    pub(crate) fn leftovers(&self, in_use: &LeftoversInUse) -> Vec<Leftover> {
        leftovers::find(&self.data_dir, in_use)
    }
}
