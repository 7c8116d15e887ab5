//! What reads files, away from the loop.

use std::{io, path::Path, sync::Arc};

use checkpoint::{Checkpoint, Ids, Rejection, Tensor};
use engine::Parameter;
use rustix::io::Errno;
use tracing::debug;
use walkdir::WalkDir;

use super::{Identity, Outcome, Recall, Stamp, idle};

/// Of files up to this size all is read at once: on a slow disk that takes little longer than the header. Others
/// are usable by their headers, and hashed later.
pub(super) const SMALL: u64 = 16 << 20;

/// A file that was read.
pub(crate) struct Learned {
    pub(crate) path: Arc<Path>,
    pub(crate) stamp: Stamp,
    /// `None` if it changed before it was read whole.
    pub(crate) outcome: Option<Outcome>,
}

/// What to read of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// No more than it takes to use it.
    Header,
    Content,
}

/// Reads these files, of big ones the headers, says what each is, and keeps what will be the same the next time.
pub(super) fn learn(files: Vec<(Arc<Path>, Stamp)>, store: &dyn Recall) -> Vec<Learned> {
    let depth = |stamp: Stamp| if stamp.size <= SMALL { Depth::Content } else { Depth::Header };
    let learned = files.into_iter().map(|(path, stamp)| one(path, stamp, depth(stamp), store));
    learned.collect()
}

/// The same with all of one file, while nobody else wants the disk or the CPU.
pub(super) fn hash(path: Arc<Path>, stamp: Stamp, store: &dyn Recall) -> Learned {
    idle::run(|| one(path, stamp, Depth::Content, store))
}

fn one(path: Arc<Path>, stamp: Stamp, depth: Depth, store: &dyn Recall) -> Learned {
    debug!("reading {}", path.display());
    let outcome = read(&path, stamp, depth, store);
    match &outcome {
        // Reading it may go better another time.
        Some(Outcome::Unreadable(_)) | None => {}
        Some(outcome) => store.remember(&stamp, outcome),
    }
    Learned { path, stamp, outcome }
}

/// Reads the file at `path` and says what it is; `None` when it is not `stamp`, or changes.
fn read(path: &Path, stamp: Stamp, depth: Depth, store: &dyn Recall) -> Option<Outcome> {
    match try_read(path, stamp, depth, store) {
        Ok(identity) => Some(Outcome::Identified(identity)),
        Err(Rejection::ChangedWhileRead | Rejection::NotAFile) => None,
        // None of the file's: it waits its turn once more.
        Err(Rejection::Unreadable { source, .. }) if is_passing(&source) => None,
        Err(error @ Rejection::Unreadable { .. }) => {
            // It went or was renamed: the next look tells.
            let gone = Stamp::of(path).ok() != Some(stamp);
            (!gone).then(|| Outcome::Unreadable(error.to_string()))
        }
        Err(rejection) => Some(Outcome::Rejected(brief(&rejection.to_string()))),
    }
}

/// Whether the system has too little of something, such as of open files or memory.
fn is_passing(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN))
}

/// What is shown and kept of a reason: it may quote megabytes of a file.
fn brief(reason: &str) -> String {
    const CHARACTERS: usize = 1000;
    match reason.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn try_read(
    path: &Path,
    stamp: Stamp,
    depth: Depth,
    store: &dyn Recall,
) -> Result<Identity, Rejection> {
    let checkpoint = Checkpoint::open_if(path, |metadata| Stamp::at(path, metadata) == stamp)?;
    let unet_parameters = checkpoint.unet().map(|tensor| tensor.bytes / tensor.dtype.size()).sum();
    let ids = match depth {
        Depth::Header => Ids::provisional(&stamp),
        Depth::Content => checkpoint.ids()?,
    };
    let Checkpoint { architecture, tensors, .. } = &checkpoint;
    let signature = checkpoint::signature(architecture, tensors);
    if !store.knows_parameters(&signature) {
        store.set_parameters(&signature, &parameters(&checkpoint));
    }
    Ok(Identity { ids, architecture: architecture.clone(), signature, unet_parameters })
}

/// What an engine of its signature is built from.
fn parameters(checkpoint: &Checkpoint) -> Vec<Parameter> {
    let parameter =
        |tensor: &Tensor| Parameter { name: tensor.name.clone(), shape: tensor.shape.clone() };
    checkpoint.unet().map(parameter).collect()
}

/// Bytes of all files below `dir`; what can't be read counts nothing.
pub(crate) fn folder_bytes(dir: &Path) -> u64 {
    let files = WalkDir::new(dir).into_iter().flatten().flat_map(|entry| entry.metadata());
    files.filter(|metadata| metadata.is_file()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cache::Memory;

    #[test]
    fn what_is_not_what_was_seen_is_not_judged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let store = Memory::default();
        let outcome = |stamp| {
            let learned = learn(vec![(path.as_path().into(), stamp)], &store);
            learned.into_iter().next().unwrap().outcome
        };
        fs::write(&path, "half of it").unwrap();
        let seen = Stamp::of(&path).unwrap();
        fs::write(&path, "all of it").unwrap();
        assert_eq!(outcome(seen), None);
        assert_eq!(store.outcome(&seen), None);
        let now = Stamp::of(&path).unwrap();
        assert!(matches!(outcome(now), Some(Outcome::Rejected(_))));
        assert_eq!(store.outcome(&now), outcome(now));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(outcome(now), None, "a folder in its place");
    }
}
