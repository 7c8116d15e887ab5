//! Keys: the own one, and those that are trusted.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use config::edit::{self, EditError};
use schemars::JsonSchema;
use serde::Serialize;
use store::{PublicKey, SigningKey};

use crate::{args::Global, configuration, output, render::store as render};

/// A key that was made.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyMade {
    /// Its public part, for the other machines.
    pub(crate) public_key: String,
    /// The file of the secret one.
    pub(crate) file: String,
    /// The configuration that trusts it now; absent if none does yet.
    pub(crate) trusted_in: Option<String>,
    /// Why none does, and what to write where.
    pub(crate) problem: Option<String>,
}

/// A key that is trusted.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeyTrusted {
    /// The key.
    pub(crate) public_key: String,
    /// The configuration.
    pub(crate) file: String,
    /// Whether it was trusted before.
    pub(crate) already_trusted: bool,
}

pub(super) fn generate(global: &Global) -> Result<()> {
    let file = file(global)?;
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let key = match SigningKey::generate(&file) {
        Err(_) if fs::symlink_metadata(&file).is_ok() => bail!(
            "{} is there already, and is never overwritten; `sdtrtctl store trust` takes its public key",
            file.display()
        ),
        made => made?,
    };
    let public_key = key.public().to_string();
    let configuration = configuration::file(global);
    let trusted = add(&configuration, &public_key);
    let made = KeyMade {
        file: file.display().to_string(),
        trusted_in: trusted.is_ok().then(|| configuration.display().to_string()),
        // The key is good all the same.
        problem: trusted.err().map(|error| format!("{error:#}")),
        public_key,
    };
    output::answer(global, &made, render::key_made)
}

pub(super) fn trust(global: &Global, key: &str) -> Result<()> {
    let key: PublicKey = key.trim().parse().map_err(|_| {
        anyhow!(
            "'{key}' is no public key; `sdtrtctl store keygen` prints one, 56 characters from RW on"
        )
    })?;
    let configuration = configuration::file(global);
    let is_new = add(&configuration, &key.to_string())?;
    let trusted = KeyTrusted {
        public_key: key.to_string(),
        file: configuration.display().to_string(),
        already_trusted: !is_new,
    };
    output::answer(global, &trusted, render::key_trusted)
}

/// The file of this machine's secret key, whether it is there or not.
pub(super) fn file(global: &Global) -> Result<PathBuf> {
    let store = configuration::load(global)?.config.store;
    Ok(store.map_or_else(|| config::key_beside(&configuration::file(global)), |store| store.key()))
}

/// Adds a key to those that the configuration trusts; whether it was new there.
fn add(configuration: &Path, key: &str) -> Result<bool> {
    let shown = configuration.display();
    let before = match fs::read_to_string(configuration) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    let after = match edit::with_trusted_key(&before, key) {
        Err(EditError::NoStore) => bail!(
            "{shown} has no [store] yet; write one, as docs/store.md shows, with\ntrusted_keys = [\"{key}\"]"
        ),
        edited => edited.with_context(|| shown.to_string())?,
    };
    if after == before {
        return Ok(false);
    }
    config::replace(configuration, &after)?;
    Ok(true)
}
