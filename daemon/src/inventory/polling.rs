//! Looks at every file that is known, every few seconds: no event tells of what is written through a mapping, or by
//! way of a name or a link's target that lies outside the models folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Duration as Span, Instant},
};

use super::{FileEvent, Inventory, Stamp};
use crate::timers::passed;

/// Between two looks.
const POLL: Span = Span::from_secs(3);

/// They rest for so many times as long as they took: a thousandth of a core is what an idle daemon may use, and
/// something else wakes it too.
const REST: u32 = 1250;

/// When files are looked at next.
#[derive(Debug, Default)]
pub(super) struct Polling {
    due: Option<Instant>,
    /// File systems that are looked at right now. One that does not answer holds up no other.
    under_way: BTreeSet<u64>,
}

impl Inventory {
    /// When files are looked at next.
    pub(super) fn next_poll(&self) -> Option<Instant> {
        self.polling.due
    }

    /// Looks at files if it is time to.
    pub(super) fn poll(&mut self, now: Instant) {
        let is_due = passed(self.polling.due, now);
        if self.polling.due.is_none() || is_due {
            // The scan that finds the first files has just looked at them.
            let has_files = self.scans_done() > 0 && self.catalogue().files().next().is_some();
            self.polling.due = has_files.then_some(now + POLL);
        }
        if !is_due {
            return;
        }
        let began = Instant::now();
        let mut files: BTreeMap<u64, Vec<(Arc<Path>, Stamp)>> = BTreeMap::new();
        for file in self.catalogue().files() {
            let on = file.stamp.file_system;
            // Those are scanned all the time.
            if !on.is_silent() && !self.polling.under_way.contains(&on.id) {
                let paths = file.paths.iter().map(|path| (path.clone(), file.stamp));
                files.entry(on.id).or_default().extend(paths);
            }
        }
        for (on, files) in files {
            self.polling.under_way.insert(on);
            let tell = self.tell.clone();
            spawn_blocking(move || {
                let changed = files.iter().filter(|(path, known)| has_changed(path, known));
                let changed = changed.map(|(path, _)| path.to_path_buf()).collect();
                tell(FileEvent::Polled(on, changed, began.elapsed()));
            });
        }
    }

    /// The files of this file system were looked at, which `took` so long. At these paths something has changed,
    /// or had when they were last seen: they are looked at once more.
    pub(crate) fn record_poll(&mut self, on: u64, changed: Vec<PathBuf>, took: Duration) {
        self.polling.under_way.remove(&on);
        let rested = Instant::now() + took * REST;
        self.polling.due = self.polling.due.map(|due| due.max(rested));
        changed.into_iter().for_each(|path| self.look_at(path, |_| {}));
    }
}

/// Whether a file lies there that is not as `known`. Of what is gone events tell, or a scan, which sees whether its
/// disk is there.
fn has_changed(path: &Path, known: &Stamp) -> bool {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file);
    metadata.is_some_and(|metadata| Stamp::on(known.file_system, path, &metadata) != *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        fs::write(&path, "x").unwrap();
        let known = Stamp::of(&path).unwrap();
        assert!(!has_changed(&path, &known));
        assert!(has_changed(&path, &Stamp { changed_ns: known.changed_ns - 1, ..known }));
        fs::remove_file(&path).unwrap();
        assert!(!has_changed(&path, &known), "that is for others to tell");
    }
}
