//! Computes the index.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use checkpoint::Id;
use engine::{Manifest, Profile, Proof, Weights};

use super::{Index, IndexedCheckpoint, IndexedEngine, IndexedIds};
use crate::{inventory::Held, planner::Snapshot};

/// Returns the index of all usable engines, and of the checkpoints in `held` that have any.
pub(crate) fn index(snapshot: &Snapshot<'_>, held: &HashMap<Id, Held<'_>>) -> Index {
    let offered = offered(snapshot, held);
    let entry = |manifest, proof| IndexedEngine {
        manifest,
        plan: snapshot.library.plan(&manifest.key),
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
            entry(*manifest, snapshot.judgement(manifest, &unet).map(|judged| judged.proof))
        });
        let ids = IndexedIds { weights: identity.ids.weights, unet, signature: identity.signature };
        let refused = refused(snapshot, &offered, identity.signature, &unet);
        let kind = identity.architecture.kind;
        // Also as a front end may name them that must not look at links: the disks behind them may hang.
        let real = held.paths.iter().filter_map(|path| snapshot.whereabouts.real(path));
        let mut paths: Vec<PathBuf> = held.paths.iter().map(|path| path.to_path_buf()).collect();
        paths.extend(real);
        paths.sort_unstable();
        paths.dedup();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        IndexedCheckpoint::new(ids, kind, &paths, engines, refused)
    });
    let shared = offered.iter().map(|manifest| {
        let found = snapshot.validated(manifest).map(|judged| judged.proof);
        entry(*manifest, found)
    });
    Index::new(snapshot.config.socket.clone(), snapshot.config.prefer, checkpoints, shared)
}

/// Returns the engines for the index, the best one first: desired ones before outdated ones, faster ones
/// first, then the newest. Engines with a due validation are left out: until then an outdated one serves.
fn offered<'a>(snapshot: &'a Snapshot<'a>, held: &HashMap<Id, Held<'_>>) -> Vec<&'a Manifest> {
    let wanted = snapshot.desired_keys(held);
    let engines = snapshot.library.manifests().values();
    let mut offered: Vec<&Manifest> = engines
        .filter(|manifest| !manifest.is_retired() && !snapshot.is_unvalidated(manifest))
        .collect();
    offered.sort_by_key(|manifest| {
        let is_fixed = manifest.spec.profiles.iter().all(Profile::is_fixed);
        (!wanted.contains(&manifest.key), !is_fixed, Reverse(manifest.built_at), manifest.key)
    });
    offered
}

/// Returns the shared engines that the web UI found to be wrong with the weights of `unet`.
fn refused(snapshot: &Snapshot<'_>, offered: &[&Manifest], signature: Id, unet: &Id) -> Vec<Id> {
    let is_wrong = |proof: &Proof| !proof.holds();
    let shared = Weights::Shared(signature);
    let ours = offered.iter().filter(|manifest| manifest.spec.weights == shared);
    let refused =
        ours.filter(|manifest| snapshot.proofs.get(&(manifest.key, *unet)).is_some_and(is_wrong));
    refused.map(|manifest| manifest.key).collect()
}

/// Returns every checkpoint and path, sorted.
pub(crate) fn places<'a>(held: &HashMap<Id, Held<'a>>) -> Vec<(Id, &'a Path)> {
    let mut places = Vec::with_capacity(held.len());
    for held in held.values() {
        places.extend(held.paths.iter().map(|path| (held.identity.ids.weights, *path)));
    }
    places.sort_unstable();
    places
}
