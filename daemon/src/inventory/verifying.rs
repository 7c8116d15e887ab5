//! Reads what is known already, and compares.

use std::path::PathBuf;

use protocol::CheckpointVerdict;

use super::{
    Outcome, Recall, Sighting, idle,
    reading::{self, Depth},
};

/// Reads these files as a whole, each of which is known to hold this; `changed` is told of those that don't.
pub(crate) fn verify(
    files: Vec<(Sighting, Outcome)>,
    store: &dyn Recall,
    changed: impl Fn(PathBuf) + Sync,
) -> Vec<CheckpointVerdict> {
    let verdicts = files.into_iter().filter_map(|(sighting, known)| {
        let Outcome::Identified(known) = known else { return None };
        let found =
            idle::run(|| reading::read(&sighting.path, sighting.stamp, Depth::Content, store));
        let problem = match found.map(|(found, _)| found.outcome) {
            Some(Outcome::Identified(now)) if now.ids == known.ids => None,
            Some(Outcome::Identified(now)) => {
                Some(format!("it holds {} now", now.ids.weights.short()))
            }
            Some(Outcome::Rejected(why) | Outcome::Unreadable(why)) => Some(why),
            None => Some("it was moved or changed meanwhile".to_owned()),
        };
        if problem.is_some() {
            changed(sighting.path.to_path_buf());
        }
        Some(CheckpointVerdict {
            location: sighting.path.to_string_lossy().into_owned(),
            weights_id: known.ids.weights,
            problem,
        })
    });
    verdicts.collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use goldens::Manifest;

    use super::*;
    use crate::{cache::MemoryCache, inventory::Stamp};

    #[test]
    fn what_holds_something_else_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let write = |seed| {
            Manifest::load("sd1").unwrap().reseed(seed).write_checkpoint(&path).unwrap();
            fs::read(&path).unwrap()
        };
        let other = write(2);
        write(1);
        let store = MemoryCache::default();
        let sighting =
            || Sighting { path: path.as_path().into(), stamp: Stamp::of(&path).unwrap() };
        let known =
            reading::read(&path, sighting().stamp, Depth::Content, &store).unwrap().0.outcome;
        let verdict = || {
            let changed = Mutex::new(Vec::new());
            let all = verify(vec![(sighting(), known.clone())], &store, |path| {
                changed.lock().unwrap().push(path);
            });
            (all.into_iter().next().unwrap().problem, changed.into_inner().unwrap())
        };
        assert_eq!(verdict(), (None, vec![]));
        fs::write(&path, other).unwrap();
        let (problem, changed) = verdict();
        assert!(problem.unwrap().starts_with("it holds "));
        assert_eq!(changed, std::slice::from_ref(&path));
        fs::write(&path, "<html>").unwrap();
        assert!(verdict().0.unwrap().contains("web page"));
    }
}
