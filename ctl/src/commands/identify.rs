//! A file's ids, read here and now.

use std::path::Path;

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Id};
use schemars::JsonSchema;
use serde::Serialize;
use unet::Graph;

use crate::{args::Global, output, render::table::Fields};

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
}

pub(super) fn run(global: &Global, file: &Path) -> Result<()> {
    let identity = identify(file).with_context(|| file.display().to_string())?;
    output::answer(global, &identity, |identity| {
        let mut fields = Fields::default();
        fields.add("weights id", identity.weights_id.to_string());
        fields.add("UNet id", identity.unet_id.to_string());
        fields.add("architecture", &identity.architecture);
        if !identity.remarks.is_empty() {
            fields.all("remarks", identity.remarks.iter().cloned());
        }
        fields.render()
    })
}

fn identify(file: &Path) -> Result<Identity> {
    let checkpoint = Checkpoint::open(file)?;
    Graph::check(&checkpoint.architecture, &checkpoint.tensors)?;
    let ids = checkpoint.ids()?;
    Ok(Identity {
        weights_id: ids.weights,
        unet_id: ids.unet,
        architecture: checkpoint.architecture.kind.to_string(),
        remarks: checkpoint.remarks().iter().map(ToString::to_string).collect(),
    })
}
