use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A web UI that uses the engines; written by `sdtrtctl webui install`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebUi {
    /// The web UI's folder.
    pub path: PathBuf,
    /// Its folders of checkpoints, which get engines like those in `models_dirs`.
    #[serde(default)]
    pub models_dirs: Vec<PathBuf>,
}
