use std::collections::{HashMap, HashSet};

use checkpoint::Id;

use crate::retention::{Standing, Stored};

/// The engines on disk, and the quota in bytes.
///
/// The least recently used engines are evicted first, but never one that is pinned or the last good one of a
/// checkpoint in use. A new one is built only if there is space for it, or if it replaces an outdated one,
/// which is removed once the new one is published. So the engines exceed the quota by at most the latest
/// build. If everything is protected, for instance after the quota was lowered, nothing is evicted and
/// nothing is built.
#[derive(Clone, Debug)]
pub struct Holdings {
    bytes: u64,
    quota: Option<u64>,
    /// What may be evicted, in order, with its bytes.
    evictable: Vec<(Id, u64)>,
    /// UNets and signatures with an engine that is removed once its replacement is published.
    replaceable: HashSet<Id>,
}

/// What to do about the quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaPlan {
    /// The engines to evict, in this order.
    pub victims: Vec<Id>,
    /// The bytes by which the quota is still exceeded afterwards.
    pub lacking: u64,
}

impl Holdings {
    /// `quota` is in bytes; without one there is always space.
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

    /// The bytes of all engines.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns what to evict to meet the quota.
    pub fn excess(&self) -> QuotaPlan {
        self.evict(0)
    }

    /// Returns what to evict for a new engine of up to `bytes`. `ids` are the UNet and the signature whose
    /// engines it may replace. If anything is lacking, it can't be built, and nothing should be evicted for
    /// it.
    pub fn room_for(&self, ids: &[Id], bytes: u64) -> QuotaPlan {
        let replaces = ids.iter().any(|id| self.replaceable.contains(id));
        self.evict(if replaces { 0 } else { bytes })
    }

    fn evict(&self, needed: u64) -> QuotaPlan {
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
        QuotaPlan { victims, lacking }
    }
}

#[cfg(test)]
mod tests;
