//! What is worth keeping: the engines as [`crate::schedule`] judges them.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use checkpoint::Id;
use tracing::warn;

use super::{room, wanting::Wanting, world::World};
use crate::{
    build::{Manifest, Usage, Weights, difference},
    schedule::{
        Holdings, Identity, Obstacle, Standing, Stored, Takes, WantedKeys, gpu_bytes, memory_bytes,
        standings,
    },
    webui::proofs,
};

/// TensorRT takes a CUDA driver to build what can be refitted.
const NO_DRIVER: &str = "waits for a GPU: an engine that checkpoints share can only be built where \
                         there is an NVIDIA driver; with `engines = \"baked\"` each gets its own";

/// An engine that nobody needs any more.
pub(super) struct Unneeded {
    pub(super) engine: Id,
    pub(super) bytes: u64,
    pub(super) removal: crate::build::Removal,
    pub(super) reason: String,
}

impl World {
    /// Why this engine is to be built, for people to read. `engines` are those of its UNet.
    pub(super) fn why(&self, wanting: &Wanting, engines: &[&Manifest]) -> String {
        if self.asked.contains(&wanting.engine) {
            return "asked for".to_owned();
        }
        let newest = engines.iter().max_by_key(|manifest| manifest.built_at);
        newest.map_or_else(
            || "no engine yet".to_owned(),
            |manifest| difference(&manifest.spec, &wanting.wanted.spec),
        )
    }

    /// Why the engine of this checkpoint can't be built for now, where that is so.
    pub(super) fn obstacle(
        &self,
        holdings: &Holdings,
        identity: &Identity,
        wanting: &Wanting,
    ) -> Option<Obstacle> {
        let weights = &wanting.wanted.spec.weights;
        if matches!(weights, Weights::Shared(_)) && self.gpus.is_empty() {
            return Some(Obstacle::Lasting(NO_DRIVER.to_owned()));
        }
        let takes = takes(identity, weights);
        let taken = self.disk_taken();
        let lacking = holdings.room_for(weights.id(), takes.disk_bytes + taken).lacking;
        let room = match &self.free {
            Err(error) => Some(error.clone()),
            Ok(free) => {
                let free = free.saturating_sub(taken);
                room::obstacle(takes.disk_bytes, lacking, free, &self.config)
            }
        };
        let lacks = || self.lacks(&wanting.engine, &takes).map(Obstacle::Passing);
        room.map(Obstacle::Lasting).or_else(lacks)
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
            let ids = [held.identity.ids.unet, held.identity.signature];
            for id in ids.into_iter().filter(|id| published.contains(id)) {
                let key = self.wanted(held).map(|wanting| wanting.engine);
                wanted.entry(id).or_default().extend(key);
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
                }
            })
            .collect()
    }

    pub(super) fn usage(&self, manifest: &Manifest) -> Usage {
        let known = self.library.usage(&manifest.key).copied();
        known.unwrap_or(Usage::since(manifest.built_at))
    }

    /// Takes in what the web UI found of engines.
    pub(super) fn read_proofs(&mut self) {
        self.proofs = proofs::read(&self.proofs_folder());
    }

    /// Has an engine that was built anew compared anew.
    pub(super) fn forget_proofs(&mut self, engine: &Id) {
        proofs::forget(&self.proofs_folder(), engine);
        self.proofs.retain(|(known, _), _| known != engine);
    }

    fn proofs_folder(&self) -> PathBuf {
        self.config.data_dir.join("proofs")
    }

    /// All engines against the quota.
    pub(super) fn holdings(&self) -> Holdings {
        let stored = self.stored();
        let standings = standings(&stored, &self.wanted_engines());
        Holdings::new(&stored, &standings, self.config.quota.map(|quota| quota.as_u64()))
    }

    /// Notes which engines are taken up again and, if the content of every file is known at present,
    /// which ones no file belongs to any more. `now` is in seconds since 1970.
    pub(super) fn note_orphans(&mut self, all_known: bool, now: u64) {
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
    pub(super) fn touch(&mut self, engines: &[Id], now: u64) {
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
    pub(super) fn unneeded(&self, now: u64) -> Vec<Unneeded> {
        use crate::build::Removal;
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
                Standing::Orphaned(_) | Standing::Current | Standing::StandIn => return None,
            };
            Some(Unneeded { engine: stored.engine, bytes: stored.bytes, removal, reason })
        });
        unneeded.collect()
    }

    /// Engines that are there or may come: what is kept of their building is of use.
    pub(super) fn living_engines(&self) -> HashSet<Id> {
        let held = self.catalogue.held();
        let wanted = held.values().filter_map(|held| Some(self.wanted(held)?.engine));
        let building = self.work.iter().map(|work| work.want.engine);
        wanted.chain(building).chain(self.library.manifests().keys().copied()).collect()
    }

    /// Published engines by the UNet inside or, of shared ones, by the signature.
    pub(super) fn engines(&self) -> HashMap<Id, Vec<&Manifest>> {
        let mut engines: HashMap<Id, Vec<&Manifest>> = HashMap::new();
        for manifest in self.library.manifests().values() {
            engines.entry(*manifest.spec.weights.id()).or_default().push(manifest);
        }
        engines
    }
}

/// What building this checkpoint's engine takes.
pub(super) fn takes(identity: &Identity, weights: &Weights) -> Takes {
    let parameters = identity.unet_parameters;
    Takes {
        gpu: None,
        gpu_bytes: match weights {
            // Built without a GPU.
            Weights::Baked(_) => 0,
            Weights::Shared(_) => gpu_bytes(parameters),
        },
        memory_bytes: memory_bytes(parameters),
        disk_bytes: room::needed(identity, weights),
    }
}

/// The engines that run this checkpoint's UNet, its own first.
pub(super) fn of<'a>(
    engines: &HashMap<Id, Vec<&'a Manifest>>,
    identity: &Identity,
) -> Vec<&'a Manifest> {
    let both = [&identity.ids.unet, &identity.signature];
    both.into_iter().filter_map(|id| engines.get(id)).flatten().copied().collect()
}

#[cfg(test)]
mod tests;
