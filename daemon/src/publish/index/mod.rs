//! The index of engines that the web UI's extension reads: `index.json` in the data folder.

mod file;
#[cfg(test)]
mod golden;
mod schema;
#[cfg(test)]
mod tests;
mod watch;

pub use file::IndexFile;
pub use schema::{Checkpoint, Ids, Index, IndexedEngine};
pub(crate) use watch::watch;
