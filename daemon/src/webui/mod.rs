//! AUTOMATIC1111's web UI: what it is doing, and what belongs to its extensions.

mod api;
mod index;
mod model_json;

pub use api::{WebUi, WebUiReading, is_titled};
pub use index::{Checkpoint as IndexedCheckpoint, Index, IndexFile};
pub use model_json::Keeper;
