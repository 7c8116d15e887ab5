//! The index of engines that the web UI's extension reads: `index.json` in the data folder.

mod publisher;
mod schema;
#[cfg(test)]
mod tests;

pub use publisher::Publisher;
pub use schema::{Checkpoint, Index};
