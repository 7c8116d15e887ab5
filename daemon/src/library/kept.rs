//! Files that the web UI leaves for the daemon: folders with one for each engine, or engine and UNet.

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
struct KeptFile<W, T> {
    version: u32,
    #[serde(flatten)]
    whose: W,
    #[serde(flatten)]
    about: T,
}

/// What a file is about.
#[derive(Deserialize)]
pub(super) struct OfUnet {
    engine: Id,
    unet: Id,
}

impl From<OfUnet> for (Id, Id) {
    fn from(OfUnet { engine, unet }: OfUnet) -> Self {
        (engine, unet)
    }
}

/// Reads all files, each with what it is about. One that can't be read counts as absent.
pub(super) fn read<W: DeserializeOwned, T: DeserializeOwned>(
    folder: &Path,
) -> impl Iterator<Item = (W, T)> + use<W, T> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let whole = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    whole.filter_map(|path| parse(&path))
}

fn parse<W: DeserializeOwned, T: DeserializeOwned>(path: &Path) -> Option<(W, T)> {
    let file: KeptFile<W, T> =
        match read_regular(path, BYTES).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(file)) => file,
            Ok(Err(error)) => {
                warn!("{} is not understood: {error}", path.display());
                return None;
            }
            Err(_) => return None,
        };
    (file.version == VERSION).then_some((file.whose, file.about))
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
