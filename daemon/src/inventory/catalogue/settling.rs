//! When files have settled.

use std::{path::Path, sync::Arc, time::Instant};

use super::{Catalogue, Content};
use crate::inventory::{OPEN_LIMIT, Stamp, Waits};

impl Catalogue {
    /// When the next file will have settled, if nothing happens to it.
    pub fn next_settled(&self) -> Option<Instant> {
        self.settling.first().map(|(since, _)| *since + self.settle)
    }

    /// Files that have had their time to settle, and where they lie. Each is to be reported through
    /// [`Self::settled`].
    pub fn due(&self, now: Instant) -> Vec<(Stamp, Vec<Arc<Path>>)> {
        let settled = self.settling.iter().take_while(|(since, _)| *since + self.settle <= now);
        let files = settled.filter_map(|(_, id)| self.files.get(id));
        files.map(|file| (file.stamp, file.paths.clone())).collect()
    }

    /// Takes in that the time of this file to settle is up, and what is waited for nevertheless. Whether it has
    /// changed without an event is seen when it is opened.
    pub fn settled(&mut self, stamp: Stamp, waits: Option<Waits>, now: Instant) {
        let Some(file) = self.files.get(&stamp.file()).filter(|file| file.stamp == stamp) else {
            return;
        };
        let Content::Settling { unchanged_since, .. } = file.content else { return };
        let is_long_open = waits == Some(Waits::Writer) && now >= unchanged_since + OPEN_LIMIT;
        let content = if waits.is_none() || is_long_open {
            Content::Unread
        } else {
            Content::Settling { unchanged_since, looked: now, waits }
        };
        self.know(stamp, content);
    }
}
