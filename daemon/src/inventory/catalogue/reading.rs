//! What is to be read next, and what reading it taught.

use std::{path::Path, time::Instant};

use super::{Catalogue, Content, File, Sighting};
use crate::inventory::{Known, Stamp};

/// Small files are read so many at once, as handing each over would cost more than reading it.
const BATCH_FILES: usize = 64;

/// And no more bytes than this beside the first, so that all threads get some.
pub(super) const BATCH_BYTES: u64 = 16 << 20;

impl Catalogue {
    /// The next files to read: a big one, or several small ones. None when there is nothing to read.
    pub fn start_reading(&mut self) -> Vec<Sighting> {
        let mut files = Vec::new();
        let mut bytes = 0;
        while files.len() < BATCH_FILES
            // What is still read for what it was before is read when that is done.
            && let Some(stamp) = self.next_unread()
        {
            bytes += stamp.size;
            let is_on_another =
                files.first().is_some_and(|first: &Sighting| first.stamp.device != stamp.device);
            // One disk that hangs holds up no other's files.
            if !files.is_empty() && (bytes > BATCH_BYTES || is_on_another) {
                break;
            }
            self.know(stamp, Content::Reading);
            self.at_work.insert(stamp.file(), false);
            let file = self.files.get(&stamp.file());
            let path = file.and_then(|file| file.paths.iter().min());
            files.extend(path.map(|path| Sighting { path: path.clone(), stamp }));
        }
        files
    }

    /// The stamp of the next file to read that nobody is at.
    fn next_unread(&self) -> Option<Stamp> {
        let next = self.unread.iter().find(|file| !self.at_work.contains_key(file))?;
        self.files.get(next).map(|file| file.stamp)
    }

    /// Takes in what reading this file, or its header, taught. It had this stamp before; `None` if it changed
    /// meanwhile.
    pub fn read(&mut self, stamp: Stamp, known: Option<Known>, now: Instant) {
        let is_tainted = self.at_work.remove(&stamp.file()).unwrap_or(false);
        let file = self.files.get(&stamp.file());
        let Some(file) = file.filter(|file| !is_tainted && file.stamp.is_same_version(&stamp))
        else {
            return;
        };
        let seen = file.stamp;
        match known {
            Some(known) => self.know_read(seen, known, now),
            None => self.know(seen, Content::changed(now)),
        }
    }

    /// Takes in what reading a file as a whole taught, which was last seen with this stamp.
    pub(super) fn know_read(&mut self, seen: Stamp, known: Known, now: Instant) {
        let doubted = self.files.get(&seen.file()).and_then(|file| file.assurance.times().0);
        // Both are looks at it, of which one is the later.
        let changed = [seen.changed_ns, known.changed_ns];
        let [earlier, later] = [changed[0].min(changed[1]), changed[0].max(changed[1])];
        self.know_as(Stamp { changed_ns: earlier, ..seen }, known, now);
        if earlier != later || doubted.is_some() {
            let stamp = Stamp { changed_ns: later, ..seen };
            self.doubt(stamp, false, doubted.unwrap_or(now));
        }
    }

    /// Has the file at `path` read again.
    pub fn reread(&mut self, path: &Path) {
        if let Some(File { stamp, content: Content::Read(_), .. }) = self.at(path) {
            self.know(*stamp, Content::Unread);
        }
    }
}
