use std::path::{Path, PathBuf};

use config::runtime;

/// TensorRT-RTX libraries of a tested version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Such as `1.7.1.116`.
    pub version: String,
    /// The folder they lie in; `None` for the loader's own path.
    pub libraries: Option<PathBuf>,
}

impl Runtime {
    /// The main library.
    pub fn library(&self) -> PathBuf {
        Self::library_in(self.libraries.as_deref())
    }

    /// The main library of this folder; by its name alone, for the loader to find, when there is none.
    pub fn library_in(folder: Option<&Path>) -> PathBuf {
        folder.map_or_else(|| runtime::LIBRARY.into(), |folder| folder.join(runtime::LIBRARY))
    }
}
