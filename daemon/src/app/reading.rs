//! What touches files, away from the actor.

use std::path::{Path, PathBuf};

use checkpoint::{Checkpoint, Rejection};
use tracing::debug;
use walkdir::WalkDir;

use super::messages::Settled;
use crate::{
    schedule::{Identity, Outcome},
    store::Store,
    watch::{Stamp, open_for_writing},
};

/// Reads these files, says what each is, and keeps what will be the same the next time.
pub(super) fn learn(
    files: Vec<(PathBuf, Stamp)>,
    store: &dyn Store,
) -> Vec<(Stamp, Option<Outcome>)> {
    let learned = files.into_iter().map(|(path, stamp)| {
        debug!("reading {}", path.display());
        let outcome = read(&path, stamp);
        match &outcome {
            // Reading it may go better another time.
            Some(Outcome::Unreadable(_)) | None => {}
            Some(outcome) => store.remember(&stamp, outcome),
        }
        (stamp, outcome)
    });
    learned.collect()
}

/// Reads the file at `path` and says what it is; `None` when it is not `stamp`, or changes.
fn read(path: &Path, stamp: Stamp) -> Option<Outcome> {
    match try_read(path, stamp) {
        Ok(identity) => identity.map(Outcome::Identified),
        Err(Rejection::ChangedWhileRead) => None,
        Err(error @ Rejection::Unreadable { .. }) => {
            // It went or was renamed: the next look tells.
            let gone = Stamp::of(path).ok() != Some(stamp);
            (!gone).then(|| Outcome::Unreadable(error.to_string()))
        }
        Err(rejection) => Some(Outcome::Rejected(rejection.to_string())),
    }
}

fn try_read(path: &Path, stamp: Stamp) -> Result<Option<Identity>, Rejection> {
    let checkpoint = Checkpoint::open(path)?;
    let opened = checkpoint.file().metadata().map(|metadata| Stamp::at(path, &metadata));
    if opened.ok() != Some(stamp) {
        return Ok(None);
    }
    let unet_parameters = checkpoint.unet().map(|tensor| tensor.bytes / tensor.dtype.size()).sum();
    let ids = checkpoint.ids()?;
    let Checkpoint { architecture, tensors, .. } = &checkpoint;
    let signature = checkpoint::signature(architecture, tensors);
    Ok(Some(Identity { ids, architecture: architecture.clone(), signature, unet_parameters }))
}

/// Bytes of all files below `dir`; what can't be read counts nothing.
pub(super) fn folder_bytes(dir: &Path) -> u64 {
    let files = WalkDir::new(dir).into_iter().flatten().flat_map(|entry| entry.metadata());
    files.filter(|metadata| metadata.is_file()).map(|metadata| metadata.len()).sum()
}

/// Looks at files whose time to settle is up.
pub(super) fn settled(due: Vec<PathBuf>) -> Vec<Settled> {
    let writers = open_for_writing();
    due.into_iter()
        .map(|path| {
            let stamp = Stamp::of(&path).ok();
            let being_written = stamp.is_some_and(|stamp| writers.contains(&stamp.file()));
            Settled { path, stamp, being_written }
        })
        .collect()
}
