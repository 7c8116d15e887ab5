//! Keeps the index of the web UI's NVIDIA extension, `models/Unet-trt/model.json`, correct when checkpoints
//! move. The extension knows them by name, so a move would lose their engines.
//!
//! The extension reads the index once, at its start, and rewrites it from memory, so any change here may be
//! undone; each file's checkpoint is therefore recorded beside our own engines.

mod around;
mod changes;
mod index_file;
mod keeper;
mod names;
mod reconcile;
mod schema;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use checkpoint::Id;

pub use keeper::Keeper;
use {
    changes::changes,
    reconcile::{FileOwners, Named, adopt, reconcile},
    schema::{ModelJson, parse},
};

impl Named {
    /// Returns what a web UI with these folders calls the file at `path`; `None` if the file is outside of
    /// them, or its name is not UTF-8.
    fn new(weights: Id, path: &Path, roots: &[PathBuf]) -> Option<Self> {
        let model_name = names::model_name(path, roots)?;
        Some(Self { weights, model_name, base_name: names::base_name(path)? })
    }
}
