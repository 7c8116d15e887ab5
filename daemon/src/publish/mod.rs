//! Publishes engines to others: `index.json`, and the index of the web UI's NVIDIA extension.

pub(crate) mod index;
pub(crate) mod indexing;
pub(crate) mod model_json;
mod publisher;

pub(crate) use index::watch;
pub use index::{
    Checkpoint as IndexedCheckpoint, Ids as IndexedIds, Index, IndexFile, IndexedEngine,
};
pub(crate) use indexing::{index, places};
pub use model_json::Keeper;
pub(crate) use publisher::Publisher;
