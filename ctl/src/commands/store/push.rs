//! Adding this machine's engines to a store.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    time::Duration,
};

use anyhow::{Result, bail};
use indicatif::ProgressBar;
use protocol::Id;
use schemars::JsonSchema;
use serde::Serialize;
use store::{Put, Store, StoreError};

use super::{
    library::{self, Local},
    opened,
};
use crate::{args::Global, output, render::store as render};

/// What became of an engine that was to be added to a store.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Shared {
    /// Its key.
    pub(crate) engine: Id,
    /// What it is for: its kind of UNet, and presets or shape.
    pub(crate) label: String,
    /// What became of it.
    pub(crate) outcome: SharedAs,
    /// Kernel caches and validations that were new to the store.
    pub(crate) found: usize,
    /// Why it was left, or what failed.
    pub(crate) reason: Option<String>,
}

/// What became of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SharedAs {
    /// It is in the store now.
    Added,
    /// It was there before.
    There,
    /// It is not shared.
    Left,
}

pub(super) fn push(global: &Global, typed: &[OsString]) -> Result<()> {
    let store = opened::to_write(global)?;
    add(global, &store, typed, "this machine shares none of its engines")
}

pub(super) fn export(global: &Global, typed: &OsStr, dir: &Path) -> Result<()> {
    // A key is no reason to make a folder for an engine that is not there.
    let local = library::chosen(global, &[typed])?;
    let store = opened::folder(global, dir)?;
    told(global, &all(&store, &local)?, "nothing was copied")
}

fn add(global: &Global, store: &Store, typed: &[OsString], nothing: &str) -> Result<()> {
    told(global, &all(store, &library::chosen(global, typed)?)?, nothing)
}

/// Prints what became of them; an error if all were left.
fn told(global: &Global, shared: &[Shared], nothing: &str) -> Result<()> {
    output::answer(global, &shared, |all| render::shared(all, output::look()))?;
    if shared.iter().all(|one| one.outcome == SharedAs::Left) {
        bail!("{nothing}");
    }
    Ok(())
}

fn all(store: &Store, locals: &[Local]) -> Result<Vec<Shared>> {
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    let added = opened::wait(async {
        let mut added = Vec::new();
        for (index, local) in locals.iter().enumerate() {
            spinner.set_message(format!("adding engine {} of {}", index + 1, locals.len()));
            added.push(one(store, local).await?);
        }
        Ok(added)
    });
    spinner.finish_and_clear();
    added
}

async fn one(store: &Store, local: &Local) -> Result<Shared, StoreError> {
    let Local { manifest, plan, kernels } = local;
    let key = manifest.key;
    let shared = |outcome, found, reason: Option<&str>| Shared {
        engine: key,
        label: manifest.label(),
        outcome,
        found,
        reason: reason.map(str::to_owned),
    };
    if let Some(problem) = local.problem() {
        return Ok(shared(SharedAs::Left, 0, Some(problem)));
    }
    let outcome = match own(store.put_engine(manifest, plan).await)? {
        Ok(Put::New) => SharedAs::Added,
        Ok(Put::Known) => SharedAs::There,
        Err(problem) => return Ok(shared(SharedAs::Left, 0, Some(&problem))),
    };
    let mut puts = Vec::new();
    for (machine, cache) in kernels {
        puts.push(own(store.put_kernels(machine, &key, cache).await)?);
    }
    for validation in &manifest.validations {
        let version = &manifest.spec.version;
        puts.push(own(store.put_validation(version, &key, validation).await)?);
    }
    let found = puts.iter().filter(|put| matches!(put, Ok(Put::New))).count();
    let left: Vec<_> = puts.into_iter().filter_map(Result::err).collect();
    let reason = (!left.is_empty()).then(|| left.join("; "));
    Ok(shared(outcome, found, reason.as_deref()))
}

/// What became of one object; or why it is left, where that is no reason to leave the others.
fn own(put: Result<Put, StoreError>) -> Result<Result<Put, String>, StoreError> {
    match put {
        Ok(put) => Ok(Ok(put)),
        Err(error @ (StoreError::Refused { .. } | StoreError::Local { .. })) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}
