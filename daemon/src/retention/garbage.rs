//! What goes by itself, and what must wait for room.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use checkpoint::Id;
use engine::kernels_folder;
use protocol::Garbage;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    event_loop::Actor,
    planner::{Obstacle, Want, plan::Eviction},
    timers::sooner,
};

/// Between two times of clearing away what nobody needs.
const HOUSEKEEPING: Duration = Duration::from_secs(86_400);

/// Folders of the data folder whose files are each about an engine, which they are named by, and the
/// files' extension: what TensorRT said, and what the web UI found.
const ABOUT_ENGINES: [(&str, &str); 3] =
    [("logs", "log"), ("proofs", "json"), ("unusable", "json")];

/// How often it is looked whether there is room again.
const ROOM: Duration = Duration::from_secs(5);

/// The present, as manifests tell times.
pub(crate) fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Actor {
    /// Brings what is known of engines, their disk and the memory up to the present.
    pub(crate) fn observe(&mut self) {
        let all_known = self.is_all_known();
        self.world.surveyed |= all_known;
        self.world.now_s = seconds_since_1970();
        self.world.note_orphans(all_known, self.world.now_s);
        self.world.stuck.clear();
        self.world.jobs.forget_closed_orders();
        if let Some(free) = (self.free_memory)() {
            self.world.memory_free = Some(free);
        }
        // A build that is under way takes room already.
        if self.world.disk_taken() == 0 {
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
    pub(crate) fn look_for_room(&mut self) {
        if self.no_room().is_some() {
            self.due.show = sooner(self.due.show, Instant::now() + ROOM);
        }
    }

    /// Why nothing is built although something is queued, where room is the reason.
    pub(crate) fn no_room(&self) -> Option<String> {
        let idle = self.world.jobs.is_idle() && self.world.surveyed;
        let first = self.queue.first().filter(|_| idle)?;
        let waits = |want: &Want| matches!(want.obstacle, Some(Obstacle::Lasting(_)));
        let obstacle = first.obstacle.as_ref().filter(|_| self.queue.iter().all(waits));
        obstacle.map(ToString::to_string)
    }

    /// Clears away what nobody needs, once a day.
    pub(crate) fn keep_house(&mut self, now: Instant) {
        self.due.housekeeping = Some(now + HOUSEKEEPING);
        self.take_in_shapes();
        self.world.news.tidying = true;
        self.due.now();
    }

    /// What nobody needs.
    pub(crate) fn garbage(&self) -> Vec<Garbage> {
        let unneeded = self.world.unneeded(seconds_since_1970());
        let leftovers = self.leftovers(&unneeded).into_iter().map(Garbage::from);
        let engine = |Eviction { engine, bytes, reason, .. }: &Eviction| {
            let path = self.world.library.plan(engine).to_string_lossy().into_owned();
            Garbage { path, bytes: *bytes, reason: reason.clone() }
        };
        unneeded.iter().map(engine).chain(leftovers).collect()
    }

    /// Deletes what was written about engines that are gone.
    pub(crate) fn sweep(&mut self, garbage: &mut Vec<Garbage>) {
        for leftover in self.leftovers(&[]) {
            match fs::remove_file(&leftover.path) {
                Ok(()) => garbage.push(leftover.into()),
                Err(error) => {
                    let problem = format!("cannot remove {}: {error}", leftover.path.display());
                    warn!("{problem}");
                    self.world.stuck.insert(Id::from([0; 32]), problem);
                }
            }
        }
    }

    /// What was written about engines that are neither there nor to come once the `unneeded` are gone.
    fn leftovers(&self, unneeded: &[Eviction]) -> Vec<Leftover> {
        if !self.world.surveyed {
            return Vec::new();
        }
        let mut living = self.world.living_engines();
        for Eviction { engine, .. } in unneeded {
            living.remove(engine);
        }
        let living: HashSet<String> = living.iter().map(Id::to_string).collect();
        // What is about one UNet in it has that after a hyphen.
        let engine = |path: &Path| Some(path.file_stem()?.to_str()?.split('-').next()?.to_owned());
        let is_dead = |path: &Path| engine(path).is_some_and(|engine| !living.contains(&engine));
        let data_dir = &self.world.config.data_dir;
        let mut leftovers = Vec::new();
        for (name, extension) in ABOUT_ENGINES {
            let files = files(&data_dir.join(name), extension);
            leftovers.extend(files.filter(|(path, _)| is_dead(path)).map(Leftover::of_none));
        }
        let kernels = data_dir.join("kernels");
        // Those of former releases, which are not looked for any more.
        leftovers.extend(files(&kernels, "cache").map(Leftover::of_another_driver));
        let in_use = self.kernels_in_use();
        for folder in fs::read_dir(kernels).into_iter().flatten().flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            for file in files(&folder.path(), "cache") {
                if in_use.as_ref().is_some_and(|in_use| !in_use.contains(&name)) {
                    leftovers.push(Leftover::of_another_driver(file));
                } else if is_dead(&file.0) {
                    leftovers.push(Leftover::of_none(file));
                }
            }
        }
        leftovers
    }

    /// The folders of kernels for GPUs that are here; `None` while there may be others.
    fn kernels_in_use(&self) -> Option<HashSet<String>> {
        let world = &self.world;
        let target = world.target.as_ref().ok().filter(|_| !world.gpus.is_empty())?;
        let engines = world.library.manifests().values().map(|manifest| &manifest.spec.version);
        let versions: HashSet<&String> = engines.chain([&target.runtime.version]).collect();
        let folders = world.gpus.iter().flat_map(|gpu| {
            versions.iter().map(|version| kernels_folder(&gpu.name, &gpu.driver, version))
        });
        Some(folders.collect())
    }
}

/// A file that nobody needs any more.
struct Leftover {
    path: PathBuf,
    bytes: u64,
    reason: &'static str,
}

impl From<Leftover> for Garbage {
    fn from(Leftover { path, bytes, reason }: Leftover) -> Self {
        let path = path.to_string_lossy().into_owned();
        Self { path, bytes, reason: reason.to_owned() }
    }
}

impl Leftover {
    fn of_none((path, bytes): (PathBuf, u64)) -> Self {
        Self { path, bytes, reason: "its engine is gone" }
    }

    fn of_another_driver((path, bytes): (PathBuf, u64)) -> Self {
        Self { path, bytes, reason: "no GPU here has such a driver" }
    }
}

/// The files in a folder that end so, and their sizes.
fn files(folder: &Path, extension: &'static str) -> impl Iterator<Item = (PathBuf, u64)> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let path = entry.path();
        let is_one = path.extension() == Some(OsStr::new(extension));
        is_one.then(|| Some((path, entry.metadata().ok()?.len())))?
    })
}
