//! A file's ids, read here and now.

use std::path::Path;

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use serde::Serialize;

use crate::{output, render::table::Fields};

#[derive(Serialize)]
struct Identity {
    weights_id: String,
    unet_id: String,
    architecture: String,
}

pub(super) fn run(file: &Path, as_json: bool) -> Result<()> {
    let identity = identify(file).with_context(|| file.display().to_string())?;
    output::answer(as_json, &identity, |identity| {
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
