//! The web UI is told which engines there are.

use std::{cmp::Reverse, collections::HashMap};

use checkpoint::Id;

use super::{actor::Actor, keeping::of, world::World};
use crate::{
    schedule::Held,
    webui::{Index, IndexedCheckpoint, IndexedEngine},
};

impl Actor {
    /// Not before every file was read once: the index of an earlier life is better than half of one.
    pub(super) fn is_index_due(&self) -> bool {
        self.is_all_read() || self.index.is_written()
    }
}

/// Of all checkpoints in `held`.
pub(super) fn index(world: &World, held: &HashMap<Id, Held<'_>>) -> Index {
    let engines = world.engines();
    let checkpoints = held.values().filter_map(|held| {
        let ids = &held.identity.ids;
        let mut engines = of(&engines, held.identity);
        if engines.is_empty() {
            return None;
        }
        let wanted = world.wanted(held).map(|wanting| wanting.engine);
        // What it should have, then what stands in for it, the newest first.
        engines.sort_by_key(|engine| (Some(engine.key) != wanted, Reverse(engine.built_at)));
        // None that will have been tried before long: until then what stands in serves.
        let offered = engines.into_iter().filter(|manifest| !world.is_untried(manifest));
        let engines = offered.map(|manifest| IndexedEngine {
            manifest,
            plan: world.library.plan(&manifest.key),
            constants: world.library.constants(&manifest.key),
            proof: world.judgement(manifest, &ids.unet).map(|judged| judged.proof),
        });
        let kind = held.identity.architecture.kind;
        Some(IndexedCheckpoint::new((ids.weights, ids.unet), kind, &held.paths, engines))
    });
    Index::new(world.config.socket.clone(), checkpoints)
}
