//! The engines of this machine, as they lie in its data folder. They are only read, so no daemon is needed.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use engine::{Manifest, Weights, kernels_file, kernels_root, read_regular};
use protocol::{Checkpoint, question};

use crate::{args::Global, configuration, daemon::Daemon, reference::reference};

/// More than a manifest takes.
const MANIFEST_BYTES: u64 = 64 << 20;

/// An engine and its files.
pub(super) struct Local {
    pub(super) manifest: Manifest,
    pub(super) plan: PathBuf,
    /// Kernel caches, by the machines that they are for.
    pub(super) kernels: Vec<(String, PathBuf)>,
}

impl Local {
    /// Why it is not shared, if it is not.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match self.manifest.spec.weights {
            _ if !self.manifest.is_current() => Some("an earlier release built it"),
            Weights::Baked(_) => Some("it contains a checkpoint's weights, which are never shared"),
            Weights::Shared(_) => None,
        }
    }
}

/// The engines that these words mean, or all; those that can't be shared too.
pub(super) fn chosen(global: &Global, typed: &[impl AsRef<OsStr>]) -> Result<Vec<Local>> {
    let data_dir = data_dir(global)?;
    let mut all = read(&data_dir)?;
    if all.is_empty() {
        bail!("there are no engines in {}", data_dir.display());
    }
    if typed.is_empty() {
        return Ok(all);
    }
    let mut wanted = Vec::new();
    for typed in typed {
        wanted.extend(keys(global, &all, typed.as_ref())?);
    }
    all.retain(|local| wanted.contains(&local.manifest.key));
    Ok(all)
}

/// The keys that begin like this, or else those of the checkpoint that the daemon knows by it.
fn keys(global: &Global, all: &[Local], typed: &OsStr) -> Result<Vec<protocol::Id>> {
    let shown = typed.to_string_lossy();
    let is_digits = shown.len() >= 4 && shown.bytes().all(|byte| byte.is_ascii_hexdigit());
    let start = shown.to_lowercase();
    let keys = all.iter().map(|local| local.manifest.key);
    let by_key: Vec<_> = keys.filter(|key| key.to_string().starts_with(&start)).collect();
    if is_digits && !by_key.is_empty() {
        return Ok(by_key);
    }
    let mut daemon = Daemon::connect(global).with_context(|| {
        format!("no engine's key begins with '{shown}', and only the daemon knows checkpoints")
    })?;
    let reference = reference(&mut daemon, typed)?;
    let Checkpoint { engines, .. } = daemon.ask(question::show(reference))?;
    if engines.is_empty() {
        bail!("{shown} has no engines yet; `sdtrtctl show {shown}` says what is missing");
    }
    Ok(engines.iter().map(|engine| engine.key).collect())
}

/// The daemon's data folder, or the configured one if none runs.
fn data_dir(global: &Global) -> Result<PathBuf> {
    if let Ok(mut daemon) = Daemon::connect(global) {
        let dir = daemon.ask(question::status())?.daemon.data_dir;
        if !dir.contains('\u{fffd}') {
            return Ok(dir.into());
        }
    }
    Ok(configuration::load(global)?.config.data_dir)
}

/// What can be read of the engines in a data folder, the oldest first.
fn read(data_dir: &Path) -> Result<Vec<Local>> {
    let engines = data_dir.join("engines");
    let listing = match fs::read_dir(&engines) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.with_context(|| format!("cannot list {}", engines.display()))?,
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("json")) {
            continue;
        }
        // The daemon says in its log what it leaves alone, and why.
        let Ok(text) = read_regular(&path, MANIFEST_BYTES) else { continue };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { continue };
        let plan = path.with_extension("engine");
        if plan.is_file() && path.file_stem() == Some(OsStr::new(&manifest.key.to_string())) {
            let kernels = kernels(data_dir, &manifest)?;
            found.push(Local { manifest, plan, kernels });
        }
    }
    found.sort_by_key(|local| (local.manifest.built_at, local.manifest.key));
    Ok(found)
}

/// Kernel caches of an engine, for its own version of TensorRT.
fn kernels(data_dir: &Path, manifest: &Manifest) -> Result<Vec<(String, PathBuf)>> {
    let folder = kernels_root(data_dir);
    let listing = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.with_context(|| format!("cannot list {}", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in listing {
        let machine = entry?.file_name();
        let machine = machine.to_string_lossy().into_owned();
        let cache = kernels_file(data_dir, &machine, &manifest.key);
        if machine.ends_with(&format!("-{}", manifest.spec.version)) && cache.is_file() {
            found.push((machine, cache));
        }
    }
    found.sort();
    Ok(found)
}
