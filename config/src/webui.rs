use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A web UI that uses the engines, as `sdtrtctl webui install` found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebUi {
    /// Its own folder.
    pub path: PathBuf,
    /// Where it looks for checkpoints, which get engines like those in `models_dirs`.
    #[serde(default)]
    pub models_dirs: Vec<PathBuf>,
}
