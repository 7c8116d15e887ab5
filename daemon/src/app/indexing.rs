//! The web UI is told which engines there are.

use std::cmp::Reverse;

use super::{actor::Actor, keeping::of, world::World};
use crate::webui::{Index, IndexedCheckpoint, IndexedEngine};

impl Actor {
    /// Not before every file was read once: the index of an earlier life is better than half of one.
    pub(super) fn publish_index(&mut self) {
        let is_all_read = self.looks.scans_done > 0 && self.world.catalogue.is_all_read();
        if is_all_read || self.index.is_written() {
            self.index.publish(index(&self.world));
        }
    }
}

fn index(world: &World) -> Index {
    let (held, engines) = (world.catalogue.held(), world.engines());
    let checkpoints = held.values().map(|held| {
        let ids = &held.identity.ids;
        let mut engines = of(&engines, held.identity);
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
        IndexedCheckpoint::new((ids.weights, ids.unet), kind, &held.paths, engines)
    });
    Index::new(world.config.socket.clone(), checkpoints)
}
