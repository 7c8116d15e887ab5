//! Files' ids and hashes, read here and now.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    ptr,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use checkpoint::{Checkpoint, Digests, Id};
use protocol::FileNames;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;
use unet::Graph;

use crate::{
    args::Global,
    output,
    render::{names, table::Fields},
};

/// What a checkpoint is known by.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Identity {
    /// Over all tensors.
    weights_id: Id,
    /// Over the UNet's tensors.
    unet_id: Id,
    /// Such as `sd1`.
    architecture: String,
    /// What its owner should know of it, such as which front end can't load it.
    remarks: Vec<String>,
    /// With `--hashes`, those of the file, and what it says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    known_as: Option<KnownAs>,
}

/// What people and other programs know a file by.
#[derive(Serialize, JsonSchema)]
struct KnownAs {
    #[serde(flatten)]
    digests: Digests,
    /// `modelspec.title` of its metadata.
    title: Option<String>,
    /// `modelspec.hash_sha256` of its metadata, which covers what follows the header.
    stated_sha256: Option<String>,
}

impl KnownAs {
    fn names(&self) -> FileNames {
        let Self { digests, title, stated_sha256 } = self;
        let Digests { sha256, autov1, autov2, autov3, crc32, blake3 } = digests.clone();
        FileNames {
            title: title.clone(),
            sha256: Some(sha256),
            autov1: Some(autov1),
            autov2: Some(autov2),
            autov3,
            crc32: Some(crc32),
            blake3: Some(blake3),
            stated_sha256: stated_sha256.clone(),
            ..FileNames::default()
        }
    }
}

/// Files up to this size are identified several at a time. Of a larger one, all cores hash tensors, and a disk takes
/// longer to read two at once.
const SMALL: u64 = 16 << 20;

/// The most files at a time, whose answers are printed together.
const TOGETHER: usize = 64;

/// Identifies each file; one that fails does not keep the others from it.
pub(super) fn run(global: &Global, files: &[PathBuf], hashes: bool) -> Result<()> {
    let (mut failures, graphs) = (Vec::new(), Graphs::default());
    let told = |file: &PathBuf| -> Result<String> {
        let identity = identify(file, hashes, &graphs)?;
        output::told(global, &identity, |identity| {
            let head = || format!("{}\n", file.display());
            let head = if files.len() > 1 { head() } else { String::new() };
            format!("{head}{}", render(identity))
        })
    };
    let mut rest = files;
    while !rest.is_empty() {
        let (now, others) = rest.split_at(together(rest));
        let all: Vec<_> = now.par_iter().map(|file| (file, told(file))).collect();
        let mut text = String::new();
        for (file, told) in all {
            let is_first = ptr::eq(file, &raw const files[0]);
            let gap = if global.json || global.quiet || is_first { "" } else { "\n" };
            match told.with_context(|| file.display().to_string()) {
                Ok(told) => text.extend([gap, &told]),
                Err(error) => failures.push(error),
            }
        }
        output::say(&text)?;
        rest = others;
    }
    match failures.len() {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => {
            let told: Vec<_> = failures.iter().map(|error| format!("{error:#}")).collect();
            bail!("{} of {} files: {}", failures.len(), files.len(), told.join("\n  "))
        }
    }
}

/// How many of the first files to identify at once, at least one.
fn together(files: &[PathBuf]) -> usize {
    let is_small = |file: &&PathBuf| file.metadata().is_ok_and(|found| found.len() <= SMALL);
    files.iter().take(TOGETHER).take_while(is_small).count().max(1)
}

/// Signatures that have a graph: it takes longer to find out than to hash a small file.
#[derive(Default)]
struct Graphs(Mutex<HashSet<Id>>);

impl Graphs {
    /// Fails if the checkpoint's UNet has none.
    fn check(&self, checkpoint: &Checkpoint) -> Result<()> {
        let signature = checkpoint.signature();
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known().contains(&signature) {
            Graph::check(&checkpoint.architecture, &checkpoint.tensors)?;
            known().insert(signature);
        }
        Ok(())
    }
}

fn render(identity: &Identity) -> String {
    let mut fields = Fields::default();
    fields.add("weights id", identity.weights_id.to_string());
    fields.add("UNet id", identity.unet_id.to_string());
    fields.add("architecture", &identity.architecture);
    if !identity.remarks.is_empty() {
        fields.all("remarks", identity.remarks.iter().cloned());
    }
    if let Some(known_as) = &identity.known_as {
        names::add(&mut fields, &known_as.names());
    }
    fields.render()
}

fn identify(file: &Path, hashes: bool, graphs: &Graphs) -> Result<Identity> {
    let checkpoint = Checkpoint::open(file)?;
    graphs.check(&checkpoint)?;
    let ids = checkpoint.ids()?;
    let known_as = || -> Result<KnownAs> {
        Ok(KnownAs {
            digests: checkpoint.digests()?,
            title: checkpoint.title().map(str::to_owned),
            stated_sha256: checkpoint.stated_sha256().map(str::to_owned),
        })
    };
    Ok(Identity {
        weights_id: ids.weights,
        unet_id: ids.unet,
        architecture: checkpoint.architecture.kind.to_string(),
        remarks: checkpoint.remarks().iter().map(ToString::to_string).collect(),
        known_as: hashes.then(known_as).transpose()?,
    })
}
