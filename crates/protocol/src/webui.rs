use serde::{Deserialize, Serialize};

/// The index of a web UI's NVIDIA extension, `models/Unet-trt/model.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExtensionIndex {
    /// The file.
    pub path: String,
    /// Whether it is changed, or only looked at.
    pub kept: bool,
    /// Engines listed, once for each name.
    pub engines: usize,
    /// What was changed just now, or would be, a line for each engine.
    pub changes: Vec<String>,
    /// Why it can't be looked after.
    pub problem: Option<String>,
}
