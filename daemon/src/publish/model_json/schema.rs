//! The file's schema, exactly as the extension accepts it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The index: by compute capability (`cc89`), then by the name of a checkpoint or LoRA.
pub(super) type ModelJson = BTreeMap<String, BTreeMap<String, Vec<Entry>>>;

/// An engine of the extension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its file name, beside the index.
    pub(super) filepath: String,
    /// What the engine was built for.
    pub(super) config: EngineConfig,
    /// Other keys, which the extension ignores.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// With an additional or missing key, the extension does not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineConfig {
    profile: BTreeMap<String, Vec<Vec<u64>>>,
    static_shapes: bool,
    fp32: bool,
    inpaint: bool,
    refit: bool,
    /// Whether it is a LoRA's, listed under the LoRA's name.
    pub(super) lora: bool,
    vram: Value,
    unet_hidden_dim: u64,
}

/// Parses an index.
///
/// # Errors
/// If it is not JSON, or the extension would not accept it.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<ModelJson> {
    serde_json::from_slice(text)
}
