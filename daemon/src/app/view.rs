//! What clients are shown.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    process,
    time::Duration,
};

use checkpoint::Id;
use protocol::{
    Building, Checkpoint, Daemon, Engine, Gpu, ModelsDir, Proof as Shown, Queued, Runtime, State,
    Status, VERSION,
};

use super::{
    gating::Closed,
    keeping::of,
    manager::Glance,
    world::{Build, World},
};
use crate::{
    build::{EngineSpec, FLAVOUR, Manifest, Proof, Weights, difference},
    schedule::{Content, Held, Outcome, Setback, Want},
};

/// Every entry of `list` by [`Checkpoint::key`].
pub(super) fn checkpoints(
    world: &World,
    held: &HashMap<Id, Held<'_>>,
    queue: &[Want],
) -> BTreeMap<String, Checkpoint> {
    let engines = world.engines();
    let turns: Turns<'_> = turns(queue).map(|(turn, want)| (want.engine, (turn, want))).collect();
    let live =
        held.values().map(|held| identified(world, held, &of(&engines, held.identity), &turns));
    let unread = world.catalogue.locations().iter().filter_map(|(path, location)| {
        let (state, reason) = match &location.content {
            Content::Settling { .. } => (State::Settling, None),
            Content::Unread => (State::Identifying, Some("waits to be read".to_owned())),
            Content::Reading => (State::Identifying, None),
            Content::Read(Outcome::Rejected(why) | Outcome::Unreadable(why)) => {
                (State::Rejected, Some(why.clone()))
            }
            Content::Read(Outcome::Identified(_)) => return None,
        };
        Some(Checkpoint {
            weights_id: None,
            unet_id: None,
            architecture: None,
            state,
            reason,
            locations: vec![text(path)],
            engines: Vec::new(),
        })
    });
    let orphaned = engines.iter().filter_map(|(weights, engines)| {
        let alive = held
            .values()
            .any(|held| [held.identity.ids.unet, held.identity.signature].contains(weights));
        (!alive).then(|| orphaned(world, engines))?
    });
    live.chain(unread).chain(orphaned).map(|entry| (entry.key().to_owned(), entry)).collect()
}

fn identified(
    world: &World,
    held: &Held<'_>,
    engines: &[&Manifest],
    turns: &Turns<'_>,
) -> Checkpoint {
    let (state, reason) = state(world, held, !engines.is_empty(), turns);
    let identity = held.identity;
    let wanting = world.wanted(held);
    let wanted = wanting.as_ref().map(|wanting| &wanting.wanted.spec);
    Checkpoint {
        weights_id: Some(identity.ids.weights.to_string()),
        unet_id: Some(identity.ids.unet.to_string()),
        architecture: Some(identity.architecture.kind.to_string()),
        state,
        reason,
        locations: held.paths.iter().map(|path| text(path)).collect(),
        engines: engines
            .iter()
            .map(|manifest| engine(world, manifest, wanted, &identity.ids.unet))
            .collect(),
    }
}

fn state(
    world: &World,
    held: &Held<'_>,
    has_engine: bool,
    turns: &Turns<'_>,
) -> (State, Option<String>) {
    if let Err(problem) = &world.target {
        let state = if has_engine { State::Ready } else { State::Queued };
        return (state, Some(problem.to_string()));
    }
    let Some(wanting) = world.wanted(held) else {
        return (State::Off, Some("a rule of the configuration wants no engine for it".to_owned()));
    };
    let wanted = wanting.engine;
    if world.library.manifests().contains_key(&wanted) {
        return match world.proofs.get(&(wanted, held.identity.ids.unet)) {
            Some(proof) if !proof.holds() => (State::Failed, Some(disproof(proof))),
            _ => (State::Ready, None),
        };
    }
    if world.build.as_ref().is_some_and(|build| build.engine == wanted) {
        return (State::Building, None);
    }
    let short = held.identity.ids.weights.short();
    match world.setbacks.get(&wanted) {
        Some(Setback::Failed(why)) => (State::Failed, Some(why.clone())),
        Some(Setback::Removed) => (
            State::Failed,
            Some(format!("its engine was removed; `sdtrtctl build {short}` builds it again")),
        ),
        None => {
            (State::Queued, turns.get(&wanted).map(|(turn, want)| waits_for(world, *turn, want)))
        }
    }
}

/// Engines to come by their keys, with how many can be built before them.
type Turns<'a> = HashMap<Id, (usize, &'a Want)>;

fn turns(queue: &[Want]) -> impl Iterator<Item = (usize, &Want)> {
    queue.iter().scan(0, |next, want| {
        let turn = *next;
        *next += usize::from(want.obstacle.is_none());
        Some((turn, want))
    })
}

fn waits_for(world: &World, turn: usize, want: &Want) -> String {
    if let Some(obstacle) = &want.obstacle {
        return obstacle.clone();
    }
    match (turn, &world.build) {
        (0, Some(build)) => format!("next, after {}", build.weights.short()),
        (0, None) => world.closed().map_or_else(|| "next".to_owned(), Closed::awaited),
        (turn, _) => format!("{turn} more before it"),
    }
}

/// Engines whose content lies nowhere, as the checkpoint that the first of them was built from.
fn orphaned(world: &World, engines: &[&Manifest]) -> Option<Checkpoint> {
    let first = engines.first()?;
    Some(Checkpoint {
        weights_id: Some(first.weights_id.to_string()),
        unet_id: match first.spec.weights {
            Weights::Baked(unet) => Some(unet.to_string()),
            Weights::Shared(_) => None,
        },
        architecture: Some(first.spec.architecture.kind.to_string()),
        state: State::Orphaned,
        reason: Some(format!(
            "no file has this content; its engines are kept for {} days, in case one does",
            world.config.orphan_days
        )),
        locations: Vec::new(),
        engines: engines
            .iter()
            .map(|manifest| engine(world, manifest, None, manifest.spec.weights.id()))
            .collect(),
    })
}

/// Why an engine is not used that was found to be wrong.
fn disproof(proof: &Proof) -> String {
    let error = proof.relative_error.map_or("no number".to_owned(), |error| format!("{error:.1e}"));
    format!(
        "its engine was {error} off PyTorch's results in the web UI, which uses none past {:.0e}: \
         PyTorch computes instead",
        proof.bound
    )
}

/// `wanted` is what it should be, where that is known.
fn engine(world: &World, manifest: &Manifest, wanted: Option<&EngineSpec>, unet: &Id) -> Engine {
    let usage = world.usage(manifest);
    let proof = world.proofs.get(&(manifest.key, *unet));
    Engine {
        key: manifest.key.to_string(),
        state: if proof.is_none_or(Proof::holds) { State::Ready } else { State::Failed },
        proof: proof.map(|Proof { relative_error, bound }| Shown {
            relative_error: *relative_error,
            bound: *bound,
        }),
        trials: Vec::new(),
        path: text(&world.library.plan(&manifest.key)),
        bytes: manifest.bytes,
        presets: manifest.presets.clone(),
        shared: matches!(manifest.spec.weights, Weights::Shared(_)),
        flavour: manifest.spec.flavour.clone(),
        version: manifest.spec.version.clone(),
        compute_capabilities: manifest.spec.compute_capability_names(),
        outdated: wanted
            .filter(|wanted| **wanted != manifest.spec)
            .map(|wanted| difference(&manifest.spec, wanted)),
        pinned: usage.pinned,
        built_at: manifest.built_at,
        last_used: usage.last_used,
        orphaned_since: usage.orphaned_since,
    }
}

/// The daemon at a glance.
pub(super) fn status(
    world: &World,
    checkpoints: &BTreeMap<String, Checkpoint>,
    queue: &[Want],
    uptime: Duration,
) -> Status {
    let target = world.target.as_ref();
    Status {
        daemon: Daemon {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: VERSION,
            pid: process::id(),
            uptime_s: uptime.as_secs(),
            data_dir: text(&world.config.data_dir),
        },
        runtime: target.ok().map(|target| Runtime {
            flavour: FLAVOUR.to_owned(),
            version: target.runtime.version.clone(),
            path: text(&target.runtime.library()),
        }),
        runtime_problem: target.err().map(ToString::to_string),
        gpus: world
            .gpus
            .iter()
            .enumerate()
            .map(|(index, gpu)| shown_gpu(world, index, gpu))
            .collect(),
        models_dirs: world.config.models_dirs.iter().map(|dir| models_dir(world, dir)).collect(),
        paused: world.paused,
        gate: gate(world, queue.len()),
        queue: turns(queue).map(|(turn, want)| queued(world, turn, want)).collect(),
        building: world.build.as_ref().map(building),
        counts: counts(checkpoints),
    }
}

/// What `systemctl status` shows.
pub(super) fn glance(
    world: &World,
    checkpoints: &BTreeMap<String, Checkpoint>,
    queued: usize,
) -> Glance {
    let problem = world.target.as_ref().err().map(ToString::to_string);
    Glance {
        building: world.build.as_ref().map(building),
        obstacle: problem.or_else(|| gate(world, queued)),
        queued,
        counts: counts(checkpoints),
    }
}

/// What keeps builds from starting, where that is of interest.
fn gate(world: &World, queued: usize) -> Option<String> {
    let closed = world.closed().filter(|closed| queued > 0 || *closed == Closed::Paused);
    closed.map(|closed| closed.to_string())
}

fn counts(checkpoints: &BTreeMap<String, Checkpoint>) -> BTreeMap<State, usize> {
    let mut counts = BTreeMap::new();
    for checkpoint in checkpoints.values() {
        *counts.entry(checkpoint.state).or_default() += 1;
    }
    counts
}

fn shown_gpu(world: &World, index: usize, gpu: &crate::gpu::Gpu) -> Gpu {
    Gpu {
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        compute_capability: gpu.compute_capability.to_string(),
        reading: world.readings.get(index).cloned(),
    }
}

fn models_dir(world: &World, dir: &Path) -> ModelsDir {
    ModelsDir { path: text(dir), problem: world.problems.get(dir).cloned() }
}

fn queued(world: &World, turn: usize, want: &Want) -> Queued {
    Queued {
        weights_id: want.weights.to_string(),
        preset: want.presets.join(", "),
        why: want.why.clone(),
        reason: waits_for(world, turn, want),
    }
}

/// The engine being built.
pub(super) fn building(build: &Build) -> Building {
    Building {
        weights_id: build.weights.to_string(),
        preset: build.presets.join(", "),
        phase: build.progress.phase.to_string(),
        percent: build.progress.percent,
        elapsed_s: build.started.elapsed().as_secs(),
    }
}

/// A path as clients see it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
