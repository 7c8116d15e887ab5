//! Finds files of engines that are gone.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use protocol::Garbage;

/// The folders in the data folder whose files are named after engines, and the files' extension: logs of
/// TensorRT, and findings of the web UI.
const ABOUT_ENGINES: [(&str, &str); 4] =
    [("logs", "log"), ("proofs", "json"), ("timings", "json"), ("unusable", "json")];

/// A file that is no longer needed.
pub(crate) struct Leftover {
    pub(crate) path: PathBuf,
    bytes: u64,
    reason: &'static str,
}

/// What files are still needed for.
pub(crate) struct LeftoversInUse {
    /// The keys of engines that exist or may be built.
    pub(crate) engines: HashSet<String>,
    /// The folders of kernels for this machine's GPUs; `None` while not all are known.
    pub(crate) kernels: Option<HashSet<String>>,
}

impl Leftover {
    fn of_none((path, bytes): (PathBuf, u64)) -> Self {
        Self { path, bytes, reason: "its engine is gone" }
    }

    fn of_another_driver((path, bytes): (PathBuf, u64)) -> Self {
        Self { path, bytes, reason: "no GPU here has such a driver" }
    }
}

impl From<Leftover> for Garbage {
    fn from(Leftover { path, bytes, reason }: Leftover) -> Self {
        let path = path.to_string_lossy().into_owned();
        Self { path, bytes, reason: reason.to_owned() }
    }
}

/// Returns all leftovers in this data folder.
pub(super) fn find(data_dir: &Path, in_use: &LeftoversInUse) -> Vec<Leftover> {
    // Files about one UNet in an engine have its id after a hyphen.
    let engine = |path: &Path| Some(path.file_stem()?.to_str()?.split('-').next()?.to_owned());
    let is_dead =
        |path: &Path| engine(path).is_some_and(|engine| !in_use.engines.contains(&engine));
    let mut leftovers = Vec::new();
    for (name, extension) in ABOUT_ENGINES {
        let files = files(&data_dir.join(name), extension);
        leftovers.extend(files.filter(|(path, _)| is_dead(path)).map(Leftover::of_none));
    }
    let kernels = engine::kernels_root(data_dir);
    // Caches of earlier releases, which are no longer read.
    leftovers.extend(files(&kernels, "cache").map(Leftover::of_another_driver));
    for folder in fs::read_dir(kernels).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        for file in files(&folder.path(), "cache") {
            if in_use.kernels.as_ref().is_some_and(|in_use| !in_use.contains(&name)) {
                leftovers.push(Leftover::of_another_driver(file));
            } else if is_dead(&file.0) {
                leftovers.push(Leftover::of_none(file));
            }
        }
    }
    leftovers
}

/// Returns the files with this extension in a folder, and their sizes.
fn files(folder: &Path, extension: &'static str) -> impl Iterator<Item = (PathBuf, u64)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let path = entry.path();
        let is_one = path.extension() == Some(OsStr::new(extension));
        is_one.then(|| Some((path, entry.metadata().ok()?.len())))?
    })
}
