use serde::{Deserialize, Serialize};

/// What reading the configuration again came to. Keys that did not change are in neither list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Keys whose new values are in force.
    pub applied: Vec<String>,
    /// Keys whose new values come into force when sdtrtd is started again.
    pub needs_restart: Vec<String>,
}
