//! The file's form, exactly as the extension accepts it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The index: by compute capability (`cc89`), then by the name of a checkpoint or LoRA.
pub(super) type Index = BTreeMap<String, BTreeMap<String, Vec<Entry>>>;

/// An engine of the extension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its file, beside the index.
    pub(super) filepath: String,
    /// What it was built for.
    pub(super) config: EngineConfig,
    /// What else stands there; the extension lets it be.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// Another key, or one less, and the extension does not start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineConfig {
    profile: BTreeMap<String, Vec<Vec<u64>>>,
    static_shapes: bool,
    fp32: bool,
    inpaint: bool,
    refit: bool,
    /// It is a LoRA and listed under the LoRA's name.
    pub(super) lora: bool,
    vram: Value,
    unet_hidden_dim: u64,
}

/// Reads an index.
///
/// # Errors
/// When it is not JSON, or not what the extension would accept.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<Index> {
    serde_json::from_slice(text)
}
