//! A file's ids, read here and now.

use std::path::Path;

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{args::Global, output, render::table::Fields};

/// What a checkpoint is known by.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Identity {
    /// 64 hex digits.
    weights_id: String,
    /// 64 hex digits.
    unet_id: String,
    /// Such as `sd1`.
    architecture: String,
}

pub(super) fn run(global: &Global, file: &Path) -> Result<()> {
    let identity = identify(file).with_context(|| file.display().to_string())?;
    output::answer(global, &identity, |identity| {
        let mut fields = Fields::default();
        fields.add("weights id", &identity.weights_id);
        fields.add("UNet id", &identity.unet_id);
        fields.add("architecture", &identity.architecture);
        fields.render()
    })
}

fn identify(file: &Path) -> Result<Identity> {
    let checkpoint = Checkpoint::open(file)?;
    let ids = checkpoint.ids()?;
    Ok(Identity {
        weights_id: ids.weights.to_string(),
        unet_id: ids.unet.to_string(),
        architecture: checkpoint.architecture.kind.to_string(),
    })
}
