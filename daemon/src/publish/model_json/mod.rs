//! The index of the web UI's NVIDIA extension, `models/Unet-trt/model.json`, kept true when
//! checkpoints move. The extension knows them by name, so a move would lose their engines.
//!
//! It reads the index once, when it starts, and rewrites it from memory, so what is written here
//! may be undone at any time; whose engine each file is, is therefore remembered beside our own
//! engines.

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
    reconcile::{Named, Owners, adopt, reconcile},
    schema::{Index, parse},
};

impl Named {
    /// What a web UI with these folders calls the file at `path`; `None` for one that it does not
    /// see, or whose name is not UTF-8.
    fn new(weights: Id, path: &Path, roots: &[PathBuf]) -> Option<Self> {
        let model_name = names::model_name(path, roots)?;
        Some(Self { weights, model_name, base_name: names::base_name(path)? })
    }
}
