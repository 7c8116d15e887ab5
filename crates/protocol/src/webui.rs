use serde::{Deserialize, Serialize};

/// The index of a web UI's NVIDIA extension, `models/Unet-trt/model.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExtensionIndex {
    /// The file.
    pub path: String,
    /// Whether it is updated, or only read.
    pub kept: bool,
    /// Engines listed, once for each name.
    pub engines: usize,
    /// What was just changed, or would be, one line per engine.
    pub changes: Vec<String>,
    /// Why it can't be updated.
    pub problem: Option<String>,
}
