//! What clients are shown.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
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
    trying::Judgement,
    world::{Work, World},
};
use crate::{
    build::{EngineSpec, FLAVOUR, Manifest, Proof, Speed, Trial, Weights, difference},
    schedule::{Content, Errand, Held, Outcome, Setback, Want},
};

/// Every entry of `list` by [`Checkpoint::key`].
pub(super) fn checkpoints(
    world: &World,
    held: &HashMap<Id, Held<'_>>,
    queue: &[Want],
) -> BTreeMap<String, Checkpoint> {
    let engines = world.engines();
    let mut by_engine = Turns::new();
    for (turn, want) in turns(queue) {
        by_engine.entry(want.engine).or_insert((turn, want));
    }
    let turns = by_engine;
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
    let ids = |held: &Held<'_>| [held.identity.ids.unet, held.identity.signature];
    let alive: HashSet<Id> = held.values().flat_map(ids).collect();
    let others = engines.iter().filter(|(weights, _)| !alive.contains(weights));
    let homeless = others.filter_map(|(_, engines)| homeless(world, engines));
    live.chain(unread).chain(homeless).map(|entry| (entry.key().to_owned(), entry)).collect()
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
    if let Some(manifest) = world.library.manifests().get(&wanted) {
        return published(world, held, manifest, turns);
    }
    if world.is_worked_on(&wanted) {
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

/// Of a checkpoint whose engine is there.
fn published(
    world: &World,
    held: &Held<'_>,
    manifest: &Manifest,
    turns: &Turns<'_>,
) -> (State, Option<String>) {
    let engine = manifest.key;
    if world.is_untried(manifest) {
        let is_tried_now = world.is_worked_on(&engine);
        let turn = turns.get(&engine).filter(|_| !is_tried_now);
        let wait = turn
            .map_or(String::new(), |(turn, want)| format!("; {}", waits_for(world, *turn, want)));
        let state = if is_tried_now { State::Building } else { State::Queued };
        return (state, Some(format!("to be tried on the GPU{wait}")));
    }
    let judged = world.judgement(manifest, &held.identity.ids.unet);
    if let Some(wrong) = judged.filter(|judged| !judged.proof.holds()) {
        return (State::Failed, Some(disproof(&wrong)));
    }
    let untried = world.trial_failure(&engine).map(|(gpu, why)| {
        let short = held.identity.ids.weights.short();
        format!("not tried on {}: {why}; `sdtrtctl retry {short}` tries again", gpu.name)
    });
    (State::Ready, untried)
}

/// The next jobs by engine, with how many can be done before them.
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
        return obstacle.to_string();
    }
    match turn {
        0 => world.awaited(want),
        turn => format!("{turn} more before it"),
    }
}

/// Engines whose content lies nowhere, as the checkpoint that the first of them was built from.
fn homeless(world: &World, engines: &[&Manifest]) -> Option<Checkpoint> {
    let first = engines.first()?;
    // What was gone before is not on a disk that went later.
    let is_orphaned = |manifest: &&Manifest| world.usage(manifest).orphaned_since.is_some();
    let (state, reason) = if world.incomplete && !engines.iter().all(is_orphaned) {
        let reason = "its file may be on a disk that is away, or in a folder that can't be looked into: \
                      `sdtrtctl status` says which; its engines are kept";
        (State::Away, reason.to_owned())
    } else {
        let days = world.config.orphan_days;
        let reason = format!(
            "no file has this content; its engines are kept for {days} days, in case one does"
        );
        (State::Orphaned, reason)
    };
    Some(Checkpoint {
        weights_id: Some(first.weights_id.to_string()),
        unet_id: match first.spec.weights {
            Weights::Baked(unet) => Some(unet.to_string()),
            Weights::Shared(_) => None,
        },
        architecture: Some(first.spec.architecture.kind.to_string()),
        state,
        reason: Some(reason),
        locations: Vec::new(),
        engines: engines
            .iter()
            .map(|manifest| engine(world, manifest, None, manifest.spec.weights.id()))
            .collect(),
    })
}

/// Why an engine is not used that was found to be wrong.
fn disproof(Judgement { proof, gpu }: &Judgement<'_>) -> String {
    let error = proof.relative_error.map_or("no number".to_owned(), |error| format!("{error:.1e}"));
    let expected = match gpu {
        Some(gpu) => format!("fp32 results on {}, and none is used", gpu.name),
        None => "PyTorch's results in the web UI, which uses none".to_owned(),
    };
    format!(
        "its engine was {error} off {expected} past {:.0e}: PyTorch computes instead",
        proof.bound
    )
}

/// `wanted` is what it should be, where that is known.
fn engine(world: &World, manifest: &Manifest, wanted: Option<&EngineSpec>, unet: &Id) -> Engine {
    let usage = world.usage(manifest);
    let judged = world.judgement(manifest, unet);
    let is_right = judged.is_none_or(|judged| judged.proof.holds());
    Engine {
        key: manifest.key.to_string(),
        state: if is_right { State::Ready } else { State::Failed },
        proof: world.proofs.get(&(manifest.key, *unet)).map(shown_proof),
        trials: trials(world, manifest),
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

fn shown_proof(Proof { relative_error, bound }: &Proof) -> Shown {
    Shown { relative_error: *relative_error, bound: *bound }
}

fn trials(world: &World, manifest: &Manifest) -> Vec<protocol::Trial> {
    let speed = |speed: &Speed| protocol::Speed {
        profile: speed.profile,
        preset: manifest.presets.get(speed.profile).cloned().unwrap_or_default(),
        batch: speed.batch,
        width: speed.width,
        height: speed.height,
        tokens: speed.tokens,
        milliseconds: speed.milliseconds,
    };
    let shown = |Trial { gpu, driver, tried_at, findings, .. }: &Trial| protocol::Trial {
        gpu: world
            .gpus
            .iter()
            .find(|here| here.uuid == *gpu)
            .map_or_else(|| gpu.clone(), |here| here.name.clone()),
        gpu_uuid: gpu.clone(),
        driver: driver.clone(),
        proof: findings.proof.as_ref().ok().map(shown_proof),
        unproven: findings.proof.as_ref().err().cloned(),
        proof_seconds: findings.proof_seconds,
        fill_seconds: findings.fill_seconds,
        speeds: findings.speeds.iter().map(speed).collect(),
        tried_at: *tried_at,
    };
    manifest.trials.iter().rev().map(shown).collect()
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
        building: building(world),
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
        building: building(world),
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
        reading: world.reading(index).cloned(),
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

/// The jobs under way.
pub(super) fn building(world: &World) -> Vec<Building> {
    let shown = |Work { want, gpu, progress, started }: &Work| Building {
        gpu: world.gpus.iter().position(|here| Some(&here.uuid) == gpu.as_ref()),
        task: match want.errand {
            Errand::Build => protocol::Task::Build,
            Errand::Try => protocol::Task::Try,
            Errand::Materialize => protocol::Task::Materialize,
        },
        weights_id: want.weights.to_string(),
        preset: want.presets.join(", "),
        phase: progress.phase.to_string(),
        percent: progress.percent,
        elapsed_s: started.elapsed().as_secs(),
    };
    world.work.iter().map(shown).collect()
}

/// A path as clients see it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
