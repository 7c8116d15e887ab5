use serde::{Deserialize, Serialize};

/// The result of rereading the configuration. Unchanged keys are in neither list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Keys whose new values were applied.
    pub applied: Vec<String>,
    /// Keys whose new values need a restart of sdtrtd.
    pub needs_restart: Vec<String>,
}
