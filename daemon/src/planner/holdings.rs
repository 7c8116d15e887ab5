//! What is worth keeping: combines the engines with the rules of [`crate::retention`].

use std::collections::{HashMap, HashSet};

use checkpoint::Id;
use engine::{Manifest, Usage, Weights, kernels_folder};
use protocol::Garbage;

use super::{
    Eviction, Grounds, Obstacle, Place, Snapshot, Takes, memory_bytes, room, shared_memory_bytes,
};
use crate::{
    inventory::Identity,
    library::LeftoversInUse,
    retention::{Holdings, Standing, Stored, WantedKeys, standings},
};

impl Snapshot<'_> {
    /// Returns why there is no space for an engine of this many bytes, if so.
    pub(crate) fn room_obstacle(
        &self,
        holdings: &Holdings,
        identity: &Identity,
        weights: &Weights,
        bytes: u64,
    ) -> Option<Obstacle> {
        let (taken, copied) = (self.disk_taken(), room::copied(identity, weights));
        let lacking = holdings.room_for(&ids(identity), bytes + taken).lacking;
        match self.free {
            Err(error) => Some(Obstacle::UnknownDisk(error.clone())),
            Ok(free) => {
                let free = free.saturating_sub(taken).saturating_sub(copied);
                room::obstacle(bytes, lacking, free, self.config)
            }
        }
    }

    /// Returns the desired engines of checkpoints in use that have published engines; of thousands of
    /// checkpoints, few have any.
    fn wanted_engines(&self) -> WantedKeys {
        let mut wanted = WantedKeys::new();
        let engines = self.library.manifests().values();
        let published: HashSet<Id> = engines.map(|manifest| *manifest.spec.weights.id()).collect();
        if published.is_empty() {
            return wanted;
        }
        for held in self.catalogue.held().values() {
            // A shared engine can replace a baked one and vice versa.
            for id in ids(held.identity).into_iter().filter(|id| published.contains(id)) {
                let keys = wanted.entry(id).or_default();
                for desired in self.desired(held).iter() {
                    let keys = if desired.is_open() { &mut keys.open } else { &mut keys.fixed };
                    keys.insert(desired.engine);
                }
            }
        }
        wanted
    }

    fn stored(&self) -> Vec<Stored> {
        let engines = self.library.manifests().values();
        engines
            .map(|manifest| {
                let usage = self.usage(manifest);
                Stored {
                    engine: manifest.key,
                    weights: *manifest.spec.weights.id(),
                    bytes: manifest.bytes,
                    last_used: usage.last_used,
                    pinned: usage.pinned,
                    orphaned_since: self
                        .orphaned_since(&usage)
                        .filter(|_| self.is_surveyed_for(manifest)),
                    serves: self.may_serve(manifest),
                    retired: manifest.is_retired().then(|| self.successor(manifest)),
                }
            })
            .collect()
    }

    /// Whether, at some time since the start, enough of every file was known to say that none uses this
    /// engine.
    pub(crate) fn is_surveyed_for(&self, manifest: &Manifest) -> bool {
        match manifest.spec.weights {
            Weights::Shared(_) => self.surveyed,
            Weights::Baked(_) => self.hashed,
        }
    }

    /// Since when no file has an engine's content, in the daemon's own time. Of a mark that this time has not reached,
    /// as what was learned was lost, or without any, it begins now.
    fn orphaned_since(&self, usage: &Usage) -> Option<u64> {
        let since = usage.orphaned_lived_s.unwrap_or(self.lived_s);
        usage.orphaned_since.map(|_| since.min(self.lived_s))
    }

    /// Returns a new engine for a retired one's architecture, if there is one.
    fn successor(&self, retired: &Manifest) -> Option<Id> {
        let is_new = |manifest: &&Manifest| {
            matches!(manifest.spec.weights, Weights::Shared(_))
                && !manifest.is_retired()
                && manifest.spec.architecture == retired.spec.architecture
        };
        self.library.manifests().values().find(is_new).map(|manifest| manifest.key)
    }

    pub(crate) fn usage(&self, manifest: &Manifest) -> Usage {
        let known = self.library.usage(&manifest.key).copied();
        known.unwrap_or(Usage::since(manifest.built_at))
    }

    /// Returns all engines with the quota.
    pub(crate) fn holdings(&self) -> Holdings {
        let stored = self.stored();
        let standings = standings(&stored, &self.wanted_engines());
        Holdings::new(&stored, &standings, self.config.quota.map(|quota| quota.as_u64()))
    }

    /// Returns the changed usage of engines that are used again and, if enough of every file is known, of
    /// those that no longer belong to any file: `headers` suffice for shared ones, baked ones need
    /// `contents`.
    pub(crate) fn orphan_changes(&self, headers: bool, contents: bool) -> Vec<(Id, Usage)> {
        let (wanted, now, lived) = (self.wanted_engines(), self.now_s, self.lived_s);
        let all_known = |manifest: &Manifest| match manifest.spec.weights {
            Weights::Shared(_) => headers,
            Weights::Baked(_) => contents,
        };
        let changes = self.library.manifests().values().filter_map(|manifest| {
            let usage = self.usage(manifest);
            let content = manifest.spec.weights.id();
            let is_gone = || all_known(manifest) && self.whereabouts.may_lie(content).is_none();
            let orphaned =
                |orphaned_since, lived| Usage { orphaned_since, orphaned_lived_s: lived, ..usage };
            let is_unmarked = usage.orphaned_lived_s.is_none_or(|since| since > lived);
            let usage = match (wanted.contains_key(content), usage.orphaned_since) {
                (true, Some(_)) => Usage { last_used: now, ..orphaned(None, None) },
                (false, None) if is_gone() => orphaned(Some(now), Some(lived)),
                (false, Some(since)) if is_unmarked => orphaned(Some(since), Some(lived)),
                _ => return None,
            };
            Some((manifest.key, usage))
        });
        changes.collect()
    }

    /// Describes an eviction.
    pub(crate) fn as_garbage(&self, eviction: Eviction) -> Garbage {
        let Eviction { engine, bytes, grounds } = eviction;
        let path = self.library.plan(&engine).to_string_lossy().into_owned();
        Garbage { path, bytes, reason: grounds.to_string() }
    }

    /// Returns what files about engines are still needed for, once those in `gone` are removed.
    pub(crate) fn files_in_use(&self, gone: &[Eviction]) -> LeftoversInUse {
        let mut engines = self.living_engines();
        for eviction in gone {
            engines.remove(&eviction.engine);
        }
        let engines = engines.iter().map(Id::to_string).collect();
        LeftoversInUse { engines, kernels: self.kernels_in_use() }
    }

    /// Returns the folders of kernels for this machine's GPUs; `None` while not all are known.
    fn kernels_in_use(&self) -> Option<HashSet<String>> {
        let target = self.target().as_ref().ok().filter(|_| !self.gpus.is_empty())?;
        let engines = self.library.manifests().values().map(|manifest| &manifest.spec.version);
        let versions: HashSet<&String> = engines.chain([&target.runtime.version]).collect();
        let folders = self.gpus.iter().flat_map(|gpu| {
            versions.iter().map(|version| kernels_folder(&gpu.name, &gpu.driver, version))
        });
        Some(folders.collect())
    }

    /// Returns outdated engines with a replacement, and orphans whose grace period is over. Pinned ones are
    /// kept.
    pub(crate) fn unneeded(&self) -> Vec<Eviction> {
        let lived = self.lived_s;
        let stored = self.stored();
        let standings = standings(&stored, &self.wanted_engines());
        let grace = self.config.orphan_grace().as_secs();
        let unneeded = stored.iter().filter(|stored| !stored.pinned).filter_map(|stored| {
            let grounds = match standings.get(&stored.engine)? {
                Standing::Superseded(by) => Grounds::Superseded(*by),
                Standing::Orphaned(since) if lived.saturating_sub(*since) >= grace => {
                    Grounds::Orphaned(lived.saturating_sub(*since) / 86_400)
                }
                Standing::Orphaned(_)
                | Standing::Current
                | Standing::StandIn
                | Standing::Retired => return None,
            };
            Some(Eviction { engine: stored.engine, bytes: stored.bytes, grounds })
        });
        unneeded.collect()
    }

    /// Returns engines that exist or may be built: files about them are useful.
    fn living_engines(&self) -> HashSet<Id> {
        let mut living = self.desired_keys(&self.catalogue.held());
        living.extend(self.work.iter().map(|work| work.want.engine));
        living.extend(self.library.manifests().keys());
        living
    }

    /// Returns usable published engines by UNet id or, if shared, by signature.
    pub(crate) fn engines(&self) -> HashMap<Id, Vec<&Manifest>> {
        let usable = |manifest: &&Manifest| !manifest.is_retired();
        by_weights(self.library.manifests().values().filter(usable))
    }

    /// The same, including engines that can't be used any more.
    pub(crate) fn all_engines(&self) -> HashMap<Id, Vec<&Manifest>> {
        by_weights(self.library.manifests().values())
    }
}

fn by_weights<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> HashMap<Id, Vec<&'a Manifest>> {
    let mut engines: HashMap<Id, Vec<&Manifest>> = HashMap::new();
    for manifest in manifests {
        engines.entry(*manifest.spec.weights.id()).or_default().push(manifest);
    }
    engines
}

/// Returns what building an engine for this checkpoint needs.
pub(crate) fn takes(identity: &Identity, weights: &Weights) -> Takes {
    let parameters = identity.unet_parameters;
    let disk_bytes = room::needed(identity, weights);
    match weights {
        Weights::Baked(_) => {
            Takes { memory_bytes: memory_bytes(parameters), disk_bytes, ..Takes::default() }
        }
        Weights::Shared(_) => Takes {
            place: Place::Aside,
            gpu_bytes: 0,
            memory_bytes: shared_memory_bytes(parameters),
            disk_bytes,
        },
    }
}

/// The two ids by which engines for this checkpoint's UNet are found.
pub(crate) fn ids(identity: &Identity) -> [Id; 2] {
    [identity.ids.unet, identity.signature]
}

/// Returns the engines that can run this checkpoint's UNet, baked ones first.
pub(crate) fn of<'a>(
    engines: &HashMap<Id, Vec<&'a Manifest>>,
    identity: &Identity,
) -> Vec<&'a Manifest> {
    ids(identity).iter().filter_map(|id| engines.get(id)).flatten().copied().collect()
}
