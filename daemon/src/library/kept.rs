//! Files that the web UI leaves for the daemon: a folder with one for each engine and UNet.

use std::{fs, path::Path};

use checkpoint::Id;
use engine::read_regular;
use serde::{Deserialize, de::DeserializeOwned};
use tracing::warn;

/// The version of the files that can be read.
const VERSION: u32 = 1;

/// More than a file takes.
const BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
struct KeptFile<T> {
    version: u32,
    engine: Id,
    unet: Id,
    #[serde(flatten)]
    about: T,
}

/// Reads all files, each with its engine and UNet. One that can't be read counts as absent.
pub(super) fn read<T: DeserializeOwned>(
    folder: &Path,
) -> impl Iterator<Item = ((Id, Id), T)> + use<T> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let whole = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    whole.filter_map(|path| parse(&path))
}

fn parse<T: DeserializeOwned>(path: &Path) -> Option<((Id, Id), T)> {
    let file: KeptFile<T> =
        match read_regular(path, BYTES).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => {
                warn!("{} is not understood: {error}", path.display());
                return None;
            }
            Err(_) => return None,
        };
    (file.version == VERSION).then_some(((file.engine, file.unet), file.about))
}

/// Deletes the files of an engine.
pub(super) fn forget(folder: &Path, engine: &Id) {
    let engine = engine.to_string();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&engine)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
