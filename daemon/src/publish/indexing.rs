//! The web UI is told which engines there are.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    path::PathBuf,
};

use checkpoint::Id;
use engine::{Manifest, Profile, Proof, Weights};

use crate::{
    event_loop::Actor,
    inventory::Held,
    planner::snapshot::World,
    publish::{Index, IndexedCheckpoint, IndexedEngine, IndexedIds},
};

impl Actor {
    /// Not before every file was read once: the index of an earlier life is better than half of one.
    pub(crate) fn is_index_due(&self) -> bool {
        self.is_all_read() || self.index.is_written()
    }
}

/// Of all engines that may be used, and of those checkpoints in `held` that have any.
pub(crate) fn index(world: &World, held: &HashMap<Id, Held<'_>>) -> Index {
    let offered = offered(world, held);
    let entry = |manifest, proof| IndexedEngine {
        manifest,
        plan: world.library.plan(&manifest.key),
        proof,
    };
    let mut own: HashMap<Id, Vec<&Manifest>> = HashMap::new();
    for manifest in &offered {
        if let Weights::Baked(unet) = manifest.spec.weights {
            own.entry(unet).or_default().push(*manifest);
        }
    }
    let shared_by = |manifest: &&&Manifest| matches!(manifest.spec.weights, Weights::Shared(_));
    let signatures: HashSet<Id> =
        offered.iter().filter(shared_by).map(|manifest| *manifest.spec.weights.id()).collect();
    let has_engines = |held: &&Held<'_>| {
        let identity = held.identity;
        own.contains_key(&identity.ids.unet) || signatures.contains(&identity.signature)
    };
    let checkpoints = held.values().filter(has_engines).map(|held| {
        let identity = held.identity;
        let unet = identity.ids.unet;
        let engines = own.get(&unet).into_iter().flatten().map(|manifest| {
            entry(*manifest, world.judgement(manifest, &unet).map(|judged| judged.proof))
        });
        let ids = IndexedIds { weights: identity.ids.weights, unet, signature: identity.signature };
        let refused = refused(world, &offered, identity.signature, &unet);
        let kind = identity.architecture.kind;
        IndexedCheckpoint::new(ids, kind, &held.paths, engines, refused)
    });
    let shared = offered.iter().map(|manifest| {
        let found = world.validated(manifest).map(|judged| judged.proof);
        entry(*manifest, found)
    });
    Index::new(world.config.socket.clone(), checkpoints, shared)
}

/// The engines that the web UI is told of, the best one first: what there should be, then what stands in for
/// it; the faster one first, then the newest. None that will have been validated before long: until then what
/// stands in serves.
fn offered<'a>(world: &'a World, held: &HashMap<Id, Held<'_>>) -> Vec<&'a Manifest> {
    let wanted = world.desired_keys(held);
    let engines = world.library.manifests().values();
    let mut offered: Vec<&Manifest> = engines
        .filter(|manifest| !manifest.is_retired() && !world.is_unvalidated(manifest))
        .collect();
    offered.sort_by_key(|manifest| {
        let is_fixed = manifest.spec.profiles.iter().all(Profile::is_fixed);
        (!wanted.contains(&manifest.key), !is_fixed, Reverse(manifest.built_at), manifest.key)
    });
    offered
}

/// The shared engines that the web UI found to be wrong with the weights of `unet`.
fn refused(world: &World, offered: &[&Manifest], signature: Id, unet: &Id) -> Vec<Id> {
    let is_wrong = |proof: &Proof| !proof.holds();
    let shared = Weights::Shared(signature);
    let ours = offered.iter().filter(|manifest| manifest.spec.weights == shared);
    let refused =
        ours.filter(|manifest| world.proofs.get(&(manifest.key, *unet)).is_some_and(is_wrong));
    refused.map(|manifest| manifest.key).collect()
}

/// Every content and path, sorted.
pub(crate) fn places(held: &HashMap<Id, Held<'_>>) -> Vec<(Id, PathBuf)> {
    let each = |held: &Held<'_>| {
        let weights = held.identity.ids.weights;
        held.paths.iter().map(move |path| (weights, path.to_path_buf())).collect::<Vec<_>>()
    };
    let mut places: Vec<_> = held.values().flat_map(each).collect();
    places.sort_unstable();
    places
}
