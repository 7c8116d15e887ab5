//! AUTOMATIC1111's web UI: what it is doing, and what belongs to its extensions.

mod api;
mod index;
mod kept;
mod model_json;
pub mod proofs;
pub mod shapes;
pub mod unusable;

pub use api::{WebUi, WebUiReading, is_titled};
pub use index::{
    Checkpoint as IndexedCheckpoint, Ids as IndexedIds, Index, IndexFile, IndexedEngine,
};
pub use model_json::Keeper;
pub use proofs::Proofs;
pub use unusable::Unusables;
