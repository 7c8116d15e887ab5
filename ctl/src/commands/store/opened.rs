//! The store that the configuration names, or a folder that is one.

use std::{
    fs,
    path::{Path, absolute},
};

use anyhow::{Context, Result, anyhow, bail};
use config::{SharedStore, StoreMode};
use store::{Address, Limits, PublicKey, SigningKey, Store, Trust};

use super::keys;
use crate::{args::Global, configuration};

/// The configured store, to look at.
pub(super) fn to_read(global: &Global) -> Result<Store> {
    let configured = configured(global)?;
    open(&address(&configured.url)?, trust(&configured.trusted_keys)?, None)
}

/// The configured store, to change.
pub(super) fn to_write(global: &Global) -> Result<Store> {
    let configured = configured(global)?;
    let (address, shown) = (address(&configured.url)?, configuration::file(global));
    if address.is_read_only() {
        bail!(
            "{address} can only be read; push from a machine that reaches the same store otherwise"
        );
    }
    if configured.mode == StoreMode::Read {
        bail!(
            "[store] in {} has mode = \"read\"; with \"read-write\" this machine adds to {address}",
            shown.display()
        );
    }
    open(&address, trust(&configured.trusted_keys)?, Some(key(global)?))
}

/// A folder as a store, created if missing, to add to.
pub(super) fn folder(global: &Global, dir: &Path) -> Result<Store> {
    let key = key(global)?;
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // What is there counts if this machine has signed it.
    let trust = Trust::new(vec![key.public().clone()]);
    open(&address(&url(dir)?)?, trust, Some(key))
}

/// A folder's address.
pub(super) fn url(dir: &Path) -> Result<String> {
    let absolute =
        absolute(dir).with_context(|| format!("cannot resolve the path '{}'", dir.display()))?;
    let Some(path) = absolute.to_str() else {
        bail!("the path {} is not UTF-8; choose another one", absolute.display());
    };
    let url = url::Url::from_directory_path(path);
    Ok(url.map_err(|()| anyhow!("{path} is no path of a folder"))?.into())
}

fn open(address: &Address, trust: Trust, key: Option<SigningKey>) -> Result<Store> {
    Ok(Store::open(address, trust, key, None, Limits::default())?)
}

fn configured(global: &Global) -> Result<SharedStore> {
    let shown = configuration::file(global);
    let configured = configuration::load(global)?.config.store;
    configured.filter(|store| !store.url.is_empty()).with_context(|| {
        format!(
            "no [store] in {} that has a `url`; docs/store.md shows how to write one",
            shown.display()
        )
    })
}

fn address(url: &str) -> Result<Address> {
    url.parse().with_context(|| "url of [store] is no address of a store".to_owned())
}

fn trust(keys: &[String]) -> Result<Trust> {
    let read = |key: &String| {
        key.parse::<PublicKey>()
            .with_context(|| format!("'{key}' in trusted_keys of [store] is no public key"))
    };
    Ok(Trust::new(keys.iter().map(read).collect::<Result<_>>()?))
}

/// Waits for what the store is asked.
pub(super) fn wait<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot wait for the store")?.block_on(asked)
}

/// This machine's secret key.
fn key(global: &Global) -> Result<SigningKey> {
    let file = keys::file(global)?;
    if fs::symlink_metadata(&file).is_err() {
        bail!(
            "this machine has no key to sign with, {}; `sdtrtctl store keygen` makes one",
            file.display()
        );
    }
    Ok(SigningKey::read(&file)?)
}
