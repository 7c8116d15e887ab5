//! What machines share: `store …`, `export-engine` and `import-engine`.

mod keys;
mod library;
mod look;
mod opened;
mod pull;
mod push;

use anyhow::Result;

use crate::args::{ExportEngine, Global, ImportEngine, Store};
pub(crate) use keys::{KeyMade, KeyTrusted};
pub(crate) use look::{Stored, StoredGarbage, StoredVerdict};
pub(crate) use push::{Shared, SharedAs};

pub(in crate::commands) fn run(global: &Global, command: &Store) -> Result<()> {
    match command {
        Store::Keygen => keys::generate(global),
        Store::Trust { key } => keys::trust(global, key),
        Store::Push { engines } => push::push(global, engines),
        Store::Pull { engines } => pull::pull(global, engines),
        Store::List => look::list(global),
        Store::Verify { whole } => look::verify(global, *whole),
        Store::Gc { dry_run, older_than } => look::gc(global, *dry_run, *older_than),
    }
}

pub(in crate::commands) fn export(global: &Global, export: &ExportEngine) -> Result<()> {
    push::export(global, &export.engine, &export.dir)
}

pub(in crate::commands) fn import(global: &Global, import: &ImportEngine) -> Result<()> {
    pull::import(global, &import.dir, &import.engines)
}
