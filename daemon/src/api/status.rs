//! The daemon's status for clients.

use std::{collections::BTreeMap, path::Path, process, time::Duration};

use engine::FLAVOUR;
use protocol::{
    Building, Daemon, Gpu, Hashing, ModelsDir, Queued, Runtime, State, Status, VERSION,
};

use super::{
    outlook::{turns, waits_for},
    text,
};
use crate::{
    planner::{Errand, Snapshot, Want, Work},
    systemd::Glance,
};

/// The daemon's status.
pub(crate) fn status(
    snapshot: &Snapshot<'_>,
    counts: BTreeMap<State, usize>,
    queue: &[Want],
    uptime: Duration,
) -> Status {
    let target = snapshot.target().as_ref();
    Status {
        daemon: Daemon {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: VERSION,
            pid: process::id(),
            uptime_s: uptime.as_secs(),
            data_dir: text(&snapshot.config.data_dir),
        },
        runtime: target.ok().map(|target| Runtime {
            flavour: FLAVOUR.to_owned(),
            version: target.runtime.version.clone(),
            path: text(&target.runtime.library()),
        }),
        runtime_problem: target.err().map(ToString::to_string),
        troubles: snapshot.troubles.clone(),
        gpus: snapshot
            .gpus
            .iter()
            .enumerate()
            .map(|(index, gpu)| shown_gpu(snapshot, index, gpu))
            .collect(),
        gpu_problem: snapshot.gpu_problem.clone(),
        models_dirs: snapshot
            .config
            .models_dirs
            .iter()
            .map(|dir| models_dir(snapshot, dir))
            .collect(),
        paused: snapshot.paused.is_some(),
        paused_until: snapshot.paused.and_then(|paused| paused.until_s),
        gate: gate(snapshot, queue),
        queue: turns(queue).map(|(turn, want)| queued(snapshot, turn, want)).collect(),
        building: building(snapshot),
        counts,
        hashing: hashing(snapshot),
        store: None,
    }
}

/// The files whose content is still to be read.
fn hashing(snapshot: &Snapshot<'_>) -> Hashing {
    let (files, bytes) = snapshot.catalogue.unhashed();
    let reading = snapshot.catalogue.hashing().map(text).collect();
    Hashing { files: files as u64, bytes, reading }
}

/// The status that `systemctl status` shows.
pub(crate) fn glance(
    snapshot: &Snapshot<'_>,
    counts: BTreeMap<State, usize>,
    queue: &[Want],
) -> Glance {
    let problem = snapshot.target().as_ref().err().map(ToString::to_string);
    Glance {
        building: building(snapshot),
        obstacle: problem
            .or_else(|| snapshot.troubles.first().cloned())
            .or_else(|| gate(snapshot, queue)),
        queued: queue.len(),
        counts,
    }
}

/// What keeps builds from starting, if that matters.
fn gate(snapshot: &Snapshot<'_>, queue: &[Want]) -> Option<String> {
    snapshot.closed(queue).map(|closed| closed.to_string())
}

fn shown_gpu(snapshot: &Snapshot<'_>, index: usize, gpu: &crate::gate::Gpu) -> Gpu {
    Gpu {
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        compute_capability: gpu.compute_capability.to_string(),
        reading: snapshot.reading(index).cloned(),
    }
}

fn models_dir(snapshot: &Snapshot<'_>, dir: &Path) -> ModelsDir {
    ModelsDir { path: text(dir), problem: snapshot.problems.get(dir).cloned() }
}

fn queued(snapshot: &Snapshot<'_>, turn: usize, want: &Want) -> Queued {
    Queued {
        weights_id: snapshot.key(&want.weights),
        preset: want.label(),
        why: want.why.to_string(),
        reason: waits_for(snapshot, turn, want).to_string(),
    }
}

/// The running jobs.
pub(crate) fn building(snapshot: &Snapshot<'_>) -> Vec<Building> {
    let shown = |Work { want, gpu, progress, started }: &Work| Building {
        gpu: snapshot.gpus.iter().position(|here| Some(&here.uuid) == gpu.as_ref()),
        task: match want.errand {
            Errand::Build => protocol::Task::Build,
            Errand::Validate => protocol::Task::Validate,
            Errand::Materialize => protocol::Task::Materialize,
        },
        weights_id: snapshot.key(&want.weights),
        preset: want.label(),
        phase: progress.phase.to_string(),
        percent: progress.percent,
        elapsed_s: started.elapsed().as_secs(),
    };
    snapshot.work.iter().copied().map(shown).collect()
}
