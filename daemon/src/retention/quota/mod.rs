use std::collections::{HashMap, HashSet};

use checkpoint::Id;

use crate::retention::{Standing, Stored};

/// All engines on disk against the bytes that they may take.
///
/// An engine goes least recently used first, but never when it is pinned or the last good one of a
/// checkpoint in use. A new one is built only once there is room for it, or in the place of an
/// outdated one that goes when it is published. So engines exceed the quota by no more than the one
/// built last. Where everything is protected, as when the quota was lowered, nothing goes and
/// nothing is built: what there is does not grow.
#[derive(Clone, Debug)]
pub struct Holdings {
    bytes: u64,
    quota: Option<u64>,
    /// What may go, in the order of going, and its bytes.
    evictable: Vec<(Id, u64)>,
    /// UNets and signatures with an engine that goes when its successor is published.
    replaceable: HashSet<Id>,
}

/// What is done about the quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Engines that go, in this order.
    pub victims: Vec<Id>,
    /// Bytes that are still too many once they are gone.
    pub lacking: u64,
}

impl Holdings {
    /// `quota` in bytes; without one there is always room.
    pub fn new(stored: &[Stored], standings: &HashMap<Id, Standing>, quota: Option<u64>) -> Self {
        let is_last_good = |stored: &Stored| {
            standings.get(&stored.engine).is_none_or(|standing| standing.is_last_good())
        };
        let mut evictable: Vec<&Stored> =
            stored.iter().filter(|stored| !stored.pinned && !is_last_good(stored)).collect();
        evictable.sort_by_key(|stored| (stored.last_used, stored.engine));
        let stands_in = |stored: &&Stored| {
            !stored.pinned && standings.get(&stored.engine) == Some(&Standing::StandIn)
        };
        Self {
            bytes: stored.iter().map(|stored| stored.bytes).sum(),
            quota,
            evictable: evictable.iter().map(|stored| (stored.engine, stored.bytes)).collect(),
            replaceable: stored.iter().filter(stands_in).map(|stored| stored.weights).collect(),
        }
    }

    /// Bytes of all engines.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What goes to bring the engines there are within the quota.
    pub fn excess(&self) -> Eviction {
        self.evict(0)
    }

    /// What goes to make room for a new engine that may get as big as `bytes`. `ids` are the UNet and the
    /// signature whose engines it may take the place of. With something lacking it can't be built, and nothing
    /// should go for it.
    pub fn room_for(&self, ids: &[Id], bytes: u64) -> Eviction {
        let replaces = ids.iter().any(|id| self.replaceable.contains(id));
        self.evict(if replaces { 0 } else { bytes })
    }

    fn evict(&self, needed: u64) -> Eviction {
        let quota = self.quota.unwrap_or(u64::MAX);
        let mut lacking = self.bytes.saturating_add(needed).saturating_sub(quota);
        let mut victims = Vec::new();
        for (engine, bytes) in &self.evictable {
            if lacking == 0 {
                break;
            }
            victims.push(*engine);
            lacking = lacking.saturating_sub(*bytes);
        }
        Eviction { victims, lacking }
    }
}

#[cfg(test)]
mod tests;
