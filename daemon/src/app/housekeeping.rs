//! What goes by itself, and what must wait for room.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use checkpoint::Id;
use protocol::Garbage;
use tokio::time::Instant;
use tracing::warn;

use super::{actor::Actor, due::sooner, keeping::Unneeded};
use crate::{
    build::{Removal, Weights},
    schedule::{Obstacle, Want},
};

/// Between two times of clearing away what nobody needs.
const HOUSEKEEPING: Duration = Duration::from_secs(86_400);

/// Folders of the data folder whose files are each about an engine, which they are named by, and the
/// files' extension: what TensorRT said, and what the web UI found and compiled.
const ABOUT_ENGINES: [(&str, &str); 3] =
    [("logs", "log"), ("proofs", "json"), ("kernels", "cache")];

/// How often it is looked whether there is room again.
const ROOM: Duration = Duration::from_secs(5);

/// The present, as manifests tell times.
pub(super) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Actor {
    /// Brings what is known of engines and their disk up to the present, and the engines within the
    /// quota.
    pub(super) fn take_stock(&mut self) {
        let all_known = self.is_all_known();
        self.world.surveyed |= all_known;
        self.world.note_orphans(all_known, seconds_since_1970());
        for engine in self.world.holdings().excess().victims {
            self.remove_engine(&engine, Removal::OverQuota);
        }
        // A build that is under way takes room already.
        if self.running.is_empty() {
            let free = self.world.library.free_bytes();
            let data_dir = self.world.config.data_dir.display();
            self.world.free = free
                .map_err(|error| format!("cannot tell how much of {data_dir} is free: {error}"));
        }
    }

    /// Whether a content that no file is known to have is really gone: no file is unread, and no
    /// folder unseen.
    fn is_all_known(&self) -> bool {
        let looks = &self.looks;
        looks.scans_done > 0
            && looks.scans_done == looks.scans_begun
            && !self.world.incomplete
            && self.due.second_look.is_none()
            && self.world.catalogue.is_all_read()
    }

    /// Looks again before long when something waits for nothing but room.
    pub(super) fn look_for_room(&mut self) {
        if self.no_room().is_some() {
            self.due.show = sooner(self.due.show, Instant::now() + ROOM);
        }
    }

    /// Why nothing is built although something is queued, where room is the reason.
    pub(super) fn no_room(&self) -> Option<String> {
        let idle = self.running.is_empty() && self.world.surveyed;
        let first = self.queue.first().filter(|_| idle)?;
        let waits = |want: &Want| matches!(want.obstacle, Some(Obstacle::Lasting(_)));
        let obstacle = first.obstacle.as_ref().filter(|_| self.queue.iter().all(waits));
        obstacle.map(ToString::to_string)
    }

    /// Evicts what must go for an engine with these weights that takes so many bytes.
    pub(super) fn make_room(&mut self, weights: &Weights, bytes: u64) -> Result<()> {
        let needed = bytes + self.world.disk_taken();
        for engine in self.world.holdings().room_for(weights.id(), needed).victims {
            self.world.library.remove(&engine, Removal::OverQuota)?;
        }
        Ok(())
    }

    /// Removes the engines that gave way to the one just published.
    pub(super) fn remove_outdated(&mut self) {
        let outdated: Vec<Id> = self
            .world
            .unneeded(seconds_since_1970())
            .iter()
            .filter(|unneeded| unneeded.removal == Removal::Superseded)
            .map(|unneeded| unneeded.engine)
            .collect();
        for engine in outdated {
            self.remove_engine(&engine, Removal::Superseded);
        }
    }

    /// One that can't be removed is tried again the next time.
    fn remove_engine(&mut self, engine: &Id, why: Removal) {
        if let Err(error) = self.world.library.remove(engine, why) {
            warn!("{error:#}");
        }
    }

    /// Clears away what nobody needs, once a day.
    pub(super) fn keep_house(&mut self, now: Instant) {
        self.due.housekeeping = Some(now + HOUSEKEEPING);
        if let Err(error) = self.collect_garbage(false) {
            warn!("{error:#}");
        }
        self.refresh_soon();
    }

    /// Deletes what nobody needs, or with `dry_run` only tells what that is.
    ///
    /// # Errors
    /// When a file can't be removed; what was before it is gone.
    pub(super) fn collect_garbage(&mut self, dry_run: bool) -> Result<Vec<Garbage>> {
        let mut garbage = Vec::new();
        let unneeded = self.world.unneeded(seconds_since_1970());
        let leftovers = self.leftovers(&unneeded);
        for Unneeded { engine, bytes, removal, reason } in unneeded {
            let path = self.world.library.plan(&engine).to_string_lossy().into_owned();
            if !dry_run {
                self.world.library.remove(&engine, removal)?;
            }
            garbage.push(Garbage { path, bytes, reason });
        }
        for (leftover, bytes) in leftovers {
            let path = leftover.to_string_lossy().into_owned();
            if !dry_run {
                fs::remove_file(&leftover).with_context(|| format!("cannot remove {path}"))?;
            }
            garbage.push(Garbage { path, bytes, reason: "its engine is gone".to_owned() });
        }
        Ok(garbage)
    }

    /// What was written about engines that are neither there nor to come once the `unneeded` are gone,
    /// and the sizes.
    fn leftovers(&self, unneeded: &[Unneeded]) -> Vec<(PathBuf, u64)> {
        if !self.world.surveyed {
            return Vec::new();
        }
        let mut living = self.world.living_engines();
        for Unneeded { engine, .. } in unneeded {
            living.remove(engine);
        }
        let living: HashSet<String> = living.iter().map(Id::to_string).collect();
        let folders = ABOUT_ENGINES.map(|(name, extension)| {
            (self.world.config.data_dir.join(name), OsStr::new(extension))
        });
        let leftovers = folders.iter().flat_map(|(folder, extension)| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| {
                let path = entry.path();
                // What is about one UNet in it has that after a hyphen.
                let engine = path.file_stem()?.to_str()?.split('-').next()?;
                let is_leftover = path.extension() == Some(*extension) && !living.contains(engine);
                is_leftover.then(|| Some((path.clone(), entry.metadata().ok()?.len())))?
            })
        });
        leftovers.collect()
    }
}
