//! What clients see of checkpoints and engines.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use checkpoint::Id;
use engine::{Manifest, Proof, Speed, Validation, Weights, difference};
use protocol::{Checkpoint, Engine, EntryKey, Proof as Shown, State};

use super::{
    outlook::{Outlook, unread},
    reason::{Outdated, Reason},
    text,
};
use crate::{
    inventory::{Held, MayLie},
    planner::{Desired, Snapshot, Want, of},
};

/// Returns every entry of `list` by [`Checkpoint::key`].
pub(crate) fn checkpoints(
    snapshot: &Snapshot<'_>,
    held: &HashMap<Id, Held<'_>>,
    queue: &[Want],
) -> BTreeMap<EntryKey, Checkpoint> {
    let (engines, outlook) = (snapshot.all_engines(), Outlook::new(snapshot, queue));
    let mut shown = ShownEngines::new(snapshot);
    let mut homeless = homeless(&engines, held);
    let live: Vec<_> = held
        .iter()
        .map(|(weights, held)| {
            let strays = homeless.remove(weights).unwrap_or_default();
            identified(&outlook, &mut shown, held, &of(&engines, held.identity), strays)
        })
        .collect();
    let unread = unread(snapshot).map(|(path, state, reason)| Checkpoint {
        weights_id: None,
        unet_id: None,
        architecture: None,
        state,
        reason: reason.map(|why| why.to_string()),
        remarks: Vec::new(),
        locations: vec![text(path)],
        engines: Vec::new(),
        coming: Vec::new(),
    });
    let homeless = homeless.values().filter_map(|engines| homeless_entry(snapshot, engines));
    live.into_iter().chain(unread).chain(homeless).map(|entry| (entry.key(), entry)).collect()
}

/// The states of all entries of `list`.
pub(crate) struct States {
    /// The number of entries in each.
    pub(crate) counts: BTreeMap<State, usize>,
    /// Those of contents that are in a file, by weights id.
    pub(crate) live: HashMap<Id, State>,
}

/// Returns the states of all entries of `list`.
pub(crate) fn states(
    snapshot: &Snapshot<'_>,
    held: &HashMap<Id, Held<'_>>,
    queue: &[Want],
) -> States {
    let (engines, outlook) = (snapshot.all_engines(), Outlook::new(snapshot, queue));
    let state = |held: &Held<'_>| {
        let has_engine = has_engine(&of(&engines, held.identity));
        outlook.state(held, has_engine).0
    };
    let live: HashMap<Id, State> =
        held.iter().map(|(weights, held)| (*weights, state(held))).collect();
    let unread = unread(snapshot).map(|(_, state, _)| state);
    let homeless = homeless(&engines, held);
    let homeless = homeless.iter().filter(|(weights, _)| !held.contains_key(weights));
    let homeless = homeless.map(|(_, engines)| homeless_state(snapshot, engines).0);
    let mut counts = BTreeMap::new();
    for state in live.values().copied().chain(unread).chain(homeless) {
        *counts.entry(state).or_default() += 1;
    }
    States { counts, live }
}

/// Returns the engines whose content is in no file, by the checkpoint that the first of them was built for:
/// its file may exist with other content now.
fn homeless<'a>(
    engines: &HashMap<Id, Vec<&'a Manifest>>,
    held: &HashMap<Id, Held<'_>>,
) -> BTreeMap<Id, Vec<&'a Manifest>> {
    let ids = |held: &Held<'_>| [held.identity.ids.unet, held.identity.signature];
    // Most machines have no such engines.
    let held = held.values().filter(|_| !engines.is_empty());
    let alive: HashSet<Id> = held.flat_map(ids).collect();
    let mut homeless: BTreeMap<Id, Vec<&Manifest>> = BTreeMap::new();
    for (_, engines) in engines.iter().filter(|(content, _)| !alive.contains(content)) {
        if let Some(first) = engines.first() {
            homeless.entry(first.weights_id).or_default().extend(engines);
        }
    }
    homeless.values_mut().for_each(|engines| engines.sort_by_key(|manifest| manifest.key));
    homeless
}

fn identified(
    outlook: &Outlook<'_>,
    shown: &mut ShownEngines<'_>,
    held: &Held<'_>,
    engines: &[&Manifest],
    strays: Vec<&Manifest>,
) -> Checkpoint {
    let (state, reason) = outlook.state(held, has_engine(engines));
    let strays: Vec<_> = strays.iter().map(|manifest| shown.stray(manifest)).collect();
    let (snapshot, identity) = (outlook.snapshot, held.identity);
    let desired = snapshot.desired(held);
    let place = |engine| desired.iter().position(|desired| desired.engine == engine);
    let mut engines = engines.to_vec();
    // Desired engines first, then outdated ones.
    engines.sort_by_key(|manifest| {
        (place(manifest.key).unwrap_or(usize::MAX), Reverse(manifest.built_at))
    });
    let shown_id = |id: Id| (!id.is_provisional()).then_some(id);
    Checkpoint {
        weights_id: shown_id(identity.ids.weights),
        unet_id: shown_id(identity.ids.unet),
        architecture: Some(identity.architecture.kind.to_string()),
        state,
        reason: reason.map(|why| why.to_string()),
        remarks: identity.remarks.iter().map(ToString::to_string).collect(),
        locations: held.paths.iter().map(|path| text(path)).collect(),
        engines: engines
            .iter()
            .map(|manifest| shown.engine(manifest, &desired, &identity.ids.unet))
            .chain(strays)
            .collect(),
        coming: outlook.coming(held),
    }
}

fn has_engine(engines: &[&Manifest]) -> bool {
    engines.iter().any(|manifest| !manifest.is_retired())
}

/// The state of engines whose content is in no file, and the reason.
fn homeless_state(snapshot: &Snapshot<'_>, engines: &[&Manifest]) -> (State, Reason<'static>) {
    if engines.iter().all(|manifest| manifest.is_retired()) {
        return (State::Retired, Reason::Retired);
    }
    // A content that was gone before is not on a disk that went missing later.
    let is_orphaned = |manifest: &&Manifest| snapshot.usage(manifest).orphaned_since.is_some();
    let is_surveyed = engines.iter().all(|manifest| snapshot.is_surveyed_for(manifest));
    let was_gone = is_surveyed && engines.iter().all(is_orphaned);
    let contents = engines.iter().map(|manifest| manifest.spec.weights.id());
    let may_lie = contents.filter_map(|content| snapshot.whereabouts.may_lie(content)).next();
    let may_lie = may_lie.or_else(|| (!is_surveyed).then_some(MayLie::Unread));
    if let Some(place) = may_lie.filter(|_| !was_gone) {
        return (State::Away, Reason::Away(place));
    }
    (State::Orphaned, Reason::Orphaned(snapshot.config.orphan_days))
}

/// An entry for them, with the checkpoint that the first was built from.
fn homeless_entry(snapshot: &Snapshot<'_>, engines: &[&Manifest]) -> Option<Checkpoint> {
    let first = engines.first()?;
    let (state, reason) = homeless_state(snapshot, engines);
    Some(Checkpoint {
        weights_id: Some(first.weights_id),
        unet_id: match first.spec.weights {
            Weights::Baked(unet) => Some(unet),
            Weights::Shared(_) => None,
        },
        architecture: Some(first.spec.architecture.kind.to_string()),
        state,
        reason: Some(reason.to_string()),
        remarks: Vec::new(),
        locations: Vec::new(),
        engines: engines
            .iter()
            .map(|manifest| Arc::new(engine(snapshot, manifest, &[], manifest.spec.weights.id())))
            .collect(),
        coming: Vec::new(),
    })
}

/// Engines in the form that clients see, shared by the checkpoints that have the same.
struct ShownEngines<'a> {
    snapshot: &'a Snapshot<'a>,
    /// By the engine, its checkpoint's desired engines, and the UNet if the web UI found something with it.
    known: HashMap<(Id, *const Desired, Option<Id>), Arc<Engine>>,
}

impl<'a> ShownEngines<'a> {
    /// An engine that was built for a checkpoint but does not fit it.
    fn stray(&self, manifest: &Manifest) -> Arc<Engine> {
        Arc::new(engine(self.snapshot, manifest, &[], manifest.spec.weights.id()))
    }

    fn new(snapshot: &'a Snapshot<'a>) -> Self {
        Self { snapshot, known: HashMap::new() }
    }

    fn engine(&mut self, manifest: &Manifest, desired: &[Desired], unet: &Id) -> Arc<Engine> {
        let snapshot = self.snapshot;
        let pair = (manifest.key, *unet);
        let is_seen = snapshot.proofs.contains_key(&pair) || snapshot.unusable.contains_key(&pair);
        let shown = self.known.entry((manifest.key, desired.as_ptr(), is_seen.then_some(*unet)));
        shown.or_insert_with(|| Arc::new(engine(snapshot, manifest, desired, unet))).clone()
    }
}

/// `desired` are the engines that its checkpoint should have, if known.
fn engine(snapshot: &Snapshot<'_>, manifest: &Manifest, desired: &[Desired], unet: &Id) -> Engine {
    let usage = snapshot.usage(manifest);
    let judged = snapshot.judgement(manifest, unet);
    let is_right = judged.is_none_or(|judged| judged.proof.holds());
    Engine {
        key: manifest.key,
        state: match is_right {
            _ if manifest.is_retired() => State::Retired,
            true => State::Ready,
            false => State::Failed,
        },
        proof: snapshot.proofs.get(&(manifest.key, *unet)).map(shown_proof),
        validations: validations(manifest),
        timings: snapshot.timings.get(&manifest.key).cloned().unwrap_or_default(),
        unusable: snapshot.unusable.get(&(manifest.key, *unet)).cloned().unwrap_or_default(),
        path: text(&snapshot.library.plan(&manifest.key)),
        bytes: manifest.bytes,
        presets: manifest.presets.clone(),
        fixed: manifest.shape(),
        shared: matches!(manifest.spec.weights, Weights::Shared(_)),
        flavour: manifest.spec.flavour.clone(),
        version: manifest.spec.version.clone(),
        compute_capabilities: manifest.spec.compute_capability_names(),
        outdated: outdated(manifest, desired).map(|why| why.to_string()),
        pinned: usage.pinned,
        built_at: manifest.built_at,
        last_used: usage.last_used,
        orphaned_since: usage.orphaned_since,
    }
}

/// What has changed since an engine was built that is no longer desired.
fn outdated(manifest: &Manifest, desired: &[Desired]) -> Option<Outdated> {
    if manifest.is_retired() {
        return Some(Outdated::Retired);
    }
    if desired.is_empty() || desired.iter().any(|desired| desired.engine == manifest.key) {
        return None;
    }
    let is_successor =
        |desired: &&Desired| desired.is_for(&manifest.presets, &manifest.spec.profiles);
    let successor = desired.iter().find(is_successor);
    let changes = |desired: &Desired| difference(&manifest.spec, &desired.wanted.spec);
    Some(successor.map_or(Outdated::NotWanted, |desired| Outdated::Changed(changes(desired))))
}

fn shown_proof(Proof { relative_error, bound }: &Proof) -> Shown {
    Shown { relative_error: *relative_error, bound: *bound }
}

fn validations(manifest: &Manifest) -> Vec<protocol::Validation> {
    let speed = |speed: &Speed| protocol::Speed {
        profile: speed.profile,
        preset: manifest.presets.get(speed.profile).cloned().unwrap_or_default(),
        batch: speed.batch,
        width: speed.width,
        height: speed.height,
        tokens: speed.tokens,
        milliseconds: speed.milliseconds,
    };
    let shown = |Validation { gpu, driver, validated_at, findings, .. }: &Validation| {
        protocol::Validation {
            gpu: gpu.clone(),
            driver: driver.clone(),
            proof: findings.proof.as_ref().ok().map(shown_proof),
            unproven: findings.proof.as_ref().err().cloned(),
            proof_seconds: findings.proof_seconds,
            speeds: findings.speeds.iter().map(speed).collect(),
            limit: findings
                .limit
                .as_ref()
                .map(|limit| protocol::Limit { pixels: limit.pixels, input: limit.input.clone() }),
            calls: findings.calls,
            call_seconds: findings.call_seconds,
            validated_at: *validated_at,
        }
    };
    manifest.validations.iter().rev().map(shown).collect()
}
