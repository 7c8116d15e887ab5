//! What is in the store: `list`, `verify` and `gc`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::Serialize;
use store::{Collected, GcPolicy, Kind, Listed, Verdict};

use super::opened;
use crate::{args::Global, output, render::store as render};

/// An object in the store.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Stored {
    /// `engine`, `validation`, `kernels` or `content`.
    pub(crate) kind: &'static str,
    /// Its name below `v1/`.
    pub(crate) name: String,
    /// The id of the key that signed it.
    pub(crate) signer: Option<String>,
    /// When it was signed, in seconds since 1970.
    pub(crate) time: Option<u64>,
    /// Its size in the store, with the plan or kernels that it names.
    pub(crate) bytes: u64,
    /// Why it is not used; absent if it is.
    pub(crate) refusal: Option<String>,
}

/// Whether an object in the store may be used.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StoredVerdict {
    /// As in `store list`.
    pub(crate) kind: &'static str,
    /// Its name below `v1/`.
    pub(crate) name: String,
    /// Why it is not used; absent if it is.
    pub(crate) refusal: Option<String>,
}

/// An object that was deleted from the store, or would be.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StoredGarbage {
    /// As in `store list`, or `blob` or `claim`.
    pub(crate) kind: &'static str,
    /// Its name below `v1/`.
    pub(crate) name: String,
    /// Its size in the store.
    pub(crate) bytes: u64,
    /// Why.
    pub(crate) reason: &'static str,
}

pub(super) fn list(global: &Global) -> Result<()> {
    let store = opened::to_read(global)?;
    let listed = opened::wait(async { Ok(store.list().await?) })?;
    let listed: Vec<_> = listed.into_iter().map(stored).collect();
    output::answer(global, &listed, |all| render::listed(all, now(), output::look()))
}

pub(super) fn verify(global: &Global, whole: bool) -> Result<()> {
    let store = opened::to_read(global)?;
    let verdicts = opened::wait(async { Ok(store.verify(whole).await?) })?;
    let verdicts: Vec<_> = verdicts.into_iter().map(verdict).collect();
    output::answer(global, &verdicts, |all| render::verdicts(all, output::look()))?;
    match render::verify_complaint(&verdicts) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}

pub(super) fn gc(global: &Global, dry: bool, older_than: Option<f64>) -> Result<()> {
    let store = if dry { opened::to_read(global) } else { opened::to_write(global) }?;
    let older_than = older_than.map(Duration::from_secs_f64);
    let policy = GcPolicy { older_than, ..GcPolicy::default() };
    let collected = opened::wait(async { Ok(store.gc(&policy, dry).await?) })?;
    let collected: Vec<_> = collected.into_iter().map(garbage).collect();
    output::answer(global, &collected, |all| render::garbage(all, dry, output::look()))
}

fn stored(Listed { kind, name, signer, time, bytes, refusal }: Listed) -> Stored {
    let refusal = refusal.map(|refusal| refusal.to_string());
    Stored { kind: word(kind), name, signer, time, bytes, refusal }
}

fn verdict(Verdict { kind, name, refusal }: Verdict) -> StoredVerdict {
    let refusal = refusal.map(|refusal| refusal.to_string());
    StoredVerdict { kind: word(kind), name, refusal }
}

fn garbage(Collected { kind, name, bytes }: Collected) -> StoredGarbage {
    let reason = match kind {
        Kind::Engine | Kind::Content => "older than was asked for",
        Kind::Validation | Kind::Kernels => "its engine is gone",
        Kind::Blob => "nothing names it",
        Kind::Claim => "older than a day",
    };
    StoredGarbage { kind: word(kind), name, bytes, reason }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Engine => "engine",
        Kind::Validation => "validation",
        Kind::Kernels => "kernels",
        Kind::Content => "content",
        Kind::Blob => "blob",
        Kind::Claim => "claim",
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
