use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::fs::inotify::{Event, ReadFlags, WatchFlags};
use tracing::warn;

use super::{
    instance::{Instance, Listener},
    way::Way,
};

/// Room for many events at once.
const BUFFER: usize = 16 << 10;

/// What can lead a way elsewhere, or let it be gone where it could not be.
const EVENTS: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// Watches the ways to models folders and to what links in them lead to: each folder on a way for the one name
/// that is looked up in it, until this is dropped.
///
/// It has an inotify instance of its own: in the notifier's, a folder that is both on a way and in a models
/// folder would have one watch for two purposes.
pub(crate) struct Ways {
    inotify: Option<Instance>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// By watch, whose way leads through it by which name, and in which round that was seen last.
    watched: HashMap<i32, HashMap<(Arc<Path>, OsString), u64>>,
    /// Watches that are being added: until they are entered none is removed, as it could be the same.
    pending: usize,
}

impl Ways {
    /// Calls `hear` on a thread of its own with the models folder whose way may lead elsewhere now.
    pub(crate) fn new(hear: impl Fn(Arc<Path>) + Send + 'static) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let heard = WayListener { shared: shared.clone(), hear };
        let inotify = Instance::open(BUFFER, heard).map_err(|problem| warn!("{problem}")).ok();
        Self { inotify, shared }
    }

    /// Watches each step of `way`, which belongs to the models folder `dir`; whether all can be. Call it before
    /// what lies at the way's end is looked at. Nothing is locked while the kernel looks folders up, which on a
    /// disk that hangs it may do for ever.
    pub(super) fn watch(&self, dir: &Arc<Path>, round: u64, way: &Way) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut is_whole = true;
        for (folder, name) in &way.steps {
            lock(&self.shared).pending += 1;
            let added = inotify.add(folder, EVENTS);
            let mut shared = lock(&self.shared);
            shared.pending -= 1;
            match added {
                Ok(watch) => {
                    let names = shared.watched.entry(watch).or_default();
                    names.insert((dir.clone(), name.clone()), round);
                }
                Err(_) => is_whole = false,
            }
        }
        is_whole
    }

    /// Ends a round for the models folder `dir`: what none of its ways leads through is watched no more.
    pub(super) fn finish(&self, dir: &Path, round: u64) {
        self.forget_older(dir, |of| of == round);
    }

    /// Watches no way of the models folder `dir` any more.
    pub(crate) fn forget(&self, dir: &Path) {
        self.forget_older(dir, |_| false);
    }

    fn forget_older(&self, dir: &Path, stays: impl Fn(u64) -> bool) {
        let mut shared = lock(&self.shared);
        for names in shared.watched.values_mut() {
            names.retain(|(of, _), round| **of != *dir || stays(*round));
        }
        if shared.pending > 0 {
            return;
        }
        let unused = shared.watched.extract_if(|_, names| names.is_empty());
        let unused: Vec<i32> = unused.map(|(watch, _)| watch).collect();
        for watch in unused {
            if let Some(inotify) = &self.inotify {
                inotify.remove(watch);
            }
        }
    }

    /// How many folders are watched.
    pub(super) fn count(&self) -> usize {
        lock(&self.shared).watched.len()
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells which models folders events are about.
struct WayListener<F> {
    shared: Arc<Mutex<Shared>>,
    hear: F,
}

impl<F: Fn(Arc<Path>) + Send + 'static> Listener for WayListener<F> {
    fn hear(&mut self, event: &Event<'_>) {
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        let heard = heard(&mut lock(&self.shared), event.wd(), event.events(), name);
        heard.into_iter().for_each(&self.hear);
    }
}

/// The models folders that an event is about.
fn heard(
    shared: &mut Shared,
    watch: i32,
    events: ReadFlags,
    name: Option<&OsStr>,
) -> HashSet<Arc<Path>> {
    let of = |names: &HashMap<(Arc<Path>, OsString), u64>| -> Vec<Arc<Path>> {
        let named = names.keys().filter(|(_, watched)| name.is_none_or(|name| name == watched));
        named.map(|(dir, _)| dir.clone()).collect()
    };
    if events.contains(ReadFlags::QUEUE_OVERFLOW) {
        return shared.watched.values().flat_map(of).collect();
    }
    if events.contains(ReadFlags::IGNORED) {
        return shared.watched.remove(&watch).iter().flat_map(of).collect();
    }
    shared.watched.get(&watch).into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests;
