//! Files' ids and hashes, read here and now.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use checkpoint::{Checkpoint, Digests, Id};
use protocol::FileNames;
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

/// Identifies each file; one that fails does not keep the others from it.
pub(super) fn run(global: &Global, files: &[PathBuf], hashes: bool) -> Result<()> {
    let mut failures = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let identified = identify(file, hashes).with_context(|| file.display().to_string());
        match identified {
            Ok(identity) => output::answer(global, &identity, |identity| {
                let head = || format!("{}\n", file.display());
                let gap = if number > 0 { "\n" } else { "" };
                let head = if files.len() > 1 { head() } else { String::new() };
                format!("{gap}{head}{}", render(identity))
            })?,
            Err(error) => failures.push(error),
        }
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

fn identify(file: &Path, hashes: bool) -> Result<Identity> {
    let checkpoint = Checkpoint::open(file)?;
    Graph::check(&checkpoint.architecture, &checkpoint.tensors)?;
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
