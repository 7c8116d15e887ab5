//! AUTOMATIC1111's web UI.

mod model_json;

pub use model_json::Keeper;
