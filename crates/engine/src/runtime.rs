use std::path::{Path, PathBuf};

use config::runtime;

/// TensorRT-RTX libraries of a tested version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The version, such as `1.7.1.116`.
    pub version: String,
    /// Their folder; `None` if the loader finds them.
    pub libraries: Option<PathBuf>,
}

impl Runtime {
    /// The path of the main library.
    pub fn library(&self) -> PathBuf {
        Self::library_in(self.libraries.as_deref())
    }

    /// The path of the main library in this folder; its bare name if there is none, for the loader.
    pub fn library_in(folder: Option<&Path>) -> PathBuf {
        folder.map_or_else(|| runtime::LIBRARY.into(), |folder| folder.join(runtime::LIBRARY))
    }
}
