//! What is worth keeping: the engines as [`crate::retention`] judges them.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use checkpoint::Id;
use engine::{Manifest, Removal, Usage, Weights};
use tracing::warn;

use crate::{
    inventory::Identity,
    library::{proofs, unusable},
    planner::{
        Place, Takes, memory_bytes, plan::Eviction, room, shared_memory_bytes, snapshot::World,
    },
    retention::{Holdings, Standing, Stored, WantedKeys, standings},
};

impl World {
    /// Why there is no room for an engine of so many bytes, where that is so.
    pub(crate) fn room_obstacle(
        &self,
        holdings: &Holdings,
        identity: &Identity,
        bytes: u64,
    ) -> Option<String> {
        let taken = self.disk_taken();
        let lacking = holdings.room_for(&ids(identity), bytes + taken).lacking;
        match &self.free {
            Err(error) => Some(error.clone()),
            Ok(free) => room::obstacle(bytes, lacking, free.saturating_sub(taken), &self.config),
        }
    }

    /// What the checkpoints in use should have that published engines may be of: of thousands of
    /// checkpoints few have one.
    fn wanted_engines(&self) -> WantedKeys {
        let mut wanted = WantedKeys::new();
        let engines = self.library.manifests().values();
        let published: HashSet<Id> = engines.map(|manifest| *manifest.spec.weights.id()).collect();
        if published.is_empty() {
            return wanted;
        }
        for held in self.catalogue.held().values() {
            // One kind of engine takes the place of the other.
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
                    orphaned_since: usage.orphaned_since.filter(|_| self.surveyed),
                    serves: self.may_serve(manifest),
                    retired: manifest.is_retired().then(|| self.successor(manifest)),
                }
            })
            .collect()
    }

    /// A new engine of a retired one's architecture, if there is one.
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

    /// Takes in what the web UI found of engines.
    pub(crate) fn read_proofs(&mut self) {
        self.proofs = proofs::read(&self.proofs_folder());
        self.unusable = unusable::read(&self.unusable_folder());
    }

    /// Has an engine that was built anew compared anew.
    pub(crate) fn forget_proofs(&mut self, engine: &Id) {
        proofs::forget(&self.proofs_folder(), engine);
        self.proofs.retain(|(known, _), _| known != engine);
        unusable::forget(&self.unusable_folder(), engine);
        self.unusable.retain(|(known, _), _| known != engine);
    }

    fn proofs_folder(&self) -> PathBuf {
        self.config.data_dir.join("proofs")
    }

    fn unusable_folder(&self) -> PathBuf {
        self.config.data_dir.join("unusable")
    }

    /// All engines against the quota.
    pub(crate) fn holdings(&self) -> Holdings {
        let stored = self.stored();
        let standings = standings(&stored, &self.wanted_engines());
        Holdings::new(&stored, &standings, self.config.quota.map(|quota| quota.as_u64()))
    }

    /// Notes which engines are taken up again and, if the content of every file is known at present,
    /// which ones no file belongs to any more. `now` is in seconds since 1970.
    pub(crate) fn note_orphans(&mut self, all_known: bool, now: u64) {
        let wanted = self.wanted_engines();
        let changes = self.library.manifests().values().filter_map(|manifest| {
            let usage = self.usage(manifest);
            let usage =
                match (wanted.contains_key(manifest.spec.weights.id()), usage.orphaned_since) {
                    (true, Some(_)) => Usage { orphaned_since: None, last_used: now, ..usage },
                    (false, None) if all_known => Usage { orphaned_since: Some(now), ..usage },
                    _ => return None,
                };
            Some((manifest.key, usage))
        });
        for (engine, usage) in changes.collect::<Vec<_>>() {
            self.keep_usage(&engine, usage);
        }
    }

    /// Engines that were asked for are in use.
    pub(crate) fn touch(&mut self, engines: &[Id], now: u64) {
        for engine in engines {
            if let Some(usage) = self.library.usage(engine).copied() {
                self.keep_usage(engine, Usage { last_used: now, ..usage });
            }
        }
    }

    fn keep_usage(&mut self, engine: &Id, usage: Usage) {
        if let Err(error) = self.library.set_usage(engine, usage) {
            warn!("{error:#}; it is forgotten when sdtrtd stops");
        }
    }

    /// Outdated engines whose successor is there, and orphans whose time is up. Pinned ones stay.
    pub(crate) fn unneeded(&self, now: u64) -> Vec<Eviction> {
        let stored = self.stored();
        let standings = standings(&stored, &self.wanted_engines());
        let grace = self.config.orphan_grace().as_secs();
        let unneeded = stored.iter().filter(|stored| !stored.pinned).filter_map(|stored| {
            let (removal, reason) = match standings.get(&stored.engine)? {
                Standing::Superseded(by) => {
                    (Removal::Superseded, format!("outdated, and {} is there", by.short()))
                }
                Standing::Orphaned(since) if now.saturating_sub(*since) >= grace => {
                    let days = now.saturating_sub(*since) / 86_400;
                    let reason = format!("no file has had its content for {days} days");
                    (Removal::Orphaned, reason)
                }
                Standing::Orphaned(_)
                | Standing::Current
                | Standing::StandIn
                | Standing::Retired => return None,
            };
            Some(Eviction { engine: stored.engine, bytes: stored.bytes, removal, reason })
        });
        unneeded.collect()
    }

    /// Engines that are there or may come: what is kept of their building is of use.
    pub(crate) fn living_engines(&self) -> HashSet<Id> {
        let mut living = self.desired_keys(&self.catalogue.held());
        living.extend(self.jobs.work().map(|work| work.want.engine));
        living.extend(self.library.manifests().keys());
        living
    }

    /// Published engines that can be used by the UNet inside or, of shared ones, by the signature.
    pub(crate) fn engines(&self) -> HashMap<Id, Vec<&Manifest>> {
        let usable = |manifest: &&Manifest| !manifest.is_retired();
        by_weights(self.library.manifests().values().filter(usable))
    }

    /// The same with those that nobody can use any more.
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

/// What building an engine for this checkpoint takes.
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

/// What the engines that run this checkpoint's UNet are known by.
pub(crate) fn ids(identity: &Identity) -> [Id; 2] {
    [identity.ids.unet, identity.signature]
}

/// The engines that run this checkpoint's UNet, its own first.
pub(crate) fn of<'a>(
    engines: &HashMap<Id, Vec<&'a Manifest>>,
    identity: &Identity,
) -> Vec<&'a Manifest> {
    ids(identity).iter().filter_map(|id| engines.get(id)).flatten().copied().collect()
}
