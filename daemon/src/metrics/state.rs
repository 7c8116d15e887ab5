//! The daemon's state as gauges.

use std::collections::BTreeMap;

use engine::Manifest;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Metric, Registry, Unit},
};
use protocol::{State as Progress, Timing};

use super::{
    Metrics,
    speed::{Speeds, latest},
};
use crate::planner::{Errand, Setback, Snapshot};

/// All states of an entry of `list`.
const STATES: [Progress; 11] = [
    Progress::Settling,
    Progress::Identifying,
    Progress::Queued,
    Progress::Building,
    Progress::Ready,
    Progress::Failed,
    Progress::Rejected,
    Progress::Off,
    Progress::Away,
    Progress::Orphaned,
    Progress::Retired,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabel {
    task: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhatLabel {
    what: &'static str,
}

/// What changes with each reconcile step.
#[derive(Debug, Default)]
pub(super) struct State {
    queue: Gauge,
    jobs: Family<TaskLabel, Gauge>,
    paused: Gauge,
    problems: Family<WhatLabel, Gauge>,
    checkpoints: Family<StateLabel, Gauge>,
    unhashed_files: Gauge,
    unhashed: Gauge,
    engines: Gauge,
    free: Gauge,
    refused: Family<ReasonLabel, Gauge>,
    speeds: Speeds,
}

impl State {
    pub(super) fn register(&self, registry: &mut Registry) {
        add(registry, "queue", "Engines that wait to be built or validated", &self.queue);
        add(registry, "jobs", "Running jobs by what they do", &self.jobs);
        add(registry, "paused", "1 while nothing is started because of a pause", &self.paused);
        let problems = "What keeps engines from being built, by what it is a problem of";
        add(registry, "problems", problems, &self.problems);
        add(registry, "checkpoints", "Checkpoints by state", &self.checkpoints);
        let files = "Files whose content is still to be read";
        add(registry, "unhashed_files", files, &self.unhashed_files);
        let size = "Size of the files whose content is still to be read";
        add_bytes(registry, "unhashed", size, &self.unhashed);
        add_bytes(registry, "engines", "Size of all published engines", &self.engines);
        add_bytes(registry, "free", "Free space on the engines' disk", &self.free);
        let refused = "Engines that are not built, or not used for some or all calls, by why";
        add(registry, "refused_engines", refused, &self.refused);
        registry.register_collector(Box::new(self.speeds.clone()));
    }
}

fn add(registry: &mut Registry, name: &str, help: &str, metric: &(impl Metric + Clone)) {
    registry.register(name, help, metric.clone());
}

fn add_bytes(registry: &mut Registry, name: &str, help: &str, gauge: &Gauge) {
    registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
}

impl Metrics {
    /// Shows the state: `queue` is the number of engines in it, `counts` are those of `list`.
    pub(crate) fn show(
        &self,
        snapshot: &Snapshot<'_>,
        queue: usize,
        counts: &BTreeMap<Progress, usize>,
    ) {
        let state = &self.state;
        set(&state.queue, queue);
        for (task, errand) in [
            ("build", Errand::Build),
            ("validate", Errand::Validate),
            ("materialize", Errand::Materialize),
        ] {
            let running = snapshot.work.iter().filter(|work| work.want.errand == errand);
            set(&state.jobs.get_or_create(&TaskLabel { task }), running.count());
        }
        set(&state.paused, snapshot.paused.is_some().into());
        for (what, problems) in problems(snapshot) {
            set(&state.problems.get_or_create(&WhatLabel { what }), problems);
        }
        for progress in STATES {
            let label = StateLabel { state: progress.to_string() };
            let count = counts.get(&progress).copied().unwrap_or_default();
            set(&state.checkpoints.get_or_create(&label), count);
        }
        let (files, bytes) = snapshot.catalogue.unhashed();
        set(&state.unhashed_files, files);
        set_bytes(&state.unhashed, bytes);
        set_bytes(&state.engines, snapshot.holdings().bytes());
        set_bytes(&state.free, snapshot.free.clone().unwrap_or_default());
        for (reason, refused) in refused(snapshot) {
            set(&state.refused.get_or_create(&ReasonLabel { reason }), refused);
        }
        let published = snapshot.library.manifests().keys();
        let measured = published.filter_map(|engine| Some((engine, snapshot.timings.get(engine)?)));
        state.speeds.replace(measured);
    }
}

fn problems(snapshot: &Snapshot<'_>) -> [(&'static str, usize); 4] {
    [
        ("machine", snapshot.troubles.len()),
        ("models_folder", snapshot.problems.len()),
        ("gpu", snapshot.gpu_problem.is_some().into()),
        ("tensorrt", snapshot.target().is_err().into()),
    ]
}

/// How many engines are refused for each reason; one engine may have several.
fn refused(snapshot: &Snapshot<'_>) -> [(&'static str, usize); 5] {
    let engines = |is_so: &dyn Fn(&Manifest) -> bool| {
        snapshot.library.manifests().values().filter(|manifest| is_so(manifest)).count()
    };
    let failed = |setback: &&Setback| matches!(setback, Setback::Failed(_));
    [
        ("failed", snapshot.setbacks.values().filter(failed).count()),
        ("inaccurate", engines(&|manifest| is_inaccurate(snapshot, manifest))),
        ("not_finite", engines(&|manifest| is_limited(snapshot, manifest))),
        ("slower", engines(&|manifest| is_slower(snapshot, manifest))),
        ("retired", engines(&Manifest::is_retired)),
    ]
}

/// With any weights, on a GPU here or in a front end.
fn is_inaccurate(snapshot: &Snapshot<'_>, manifest: &Manifest) -> bool {
    let is_wrong =
        |((engine, _), proof): (&(_, _), &engine::Proof)| *engine == manifest.key && !proof.holds();
    snapshot.validated(manifest).is_some_and(|judged| !judged.proof.holds())
        || snapshot.proofs.iter().any(is_wrong)
}

/// Whether its output is NaN or infinity at some sizes.
fn is_limited(snapshot: &Snapshot<'_>, manifest: &Manifest) -> bool {
    snapshot.found_on_models(manifest).any(|(_, findings)| findings.limit.is_some())
        || snapshot.unusable.keys().any(|(engine, _)| *engine == manifest.key)
}

/// Whether PyTorch was last measured to be faster in some call.
fn is_slower(snapshot: &Snapshot<'_>, manifest: &Manifest) -> bool {
    let timings = snapshot.timings.get(&manifest.key);
    timings.is_some_and(|timings| latest(timings).any(Timing::is_slower))
}

fn set(gauge: &Gauge, number: usize) {
    gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
}

fn set_bytes(gauge: &Gauge, bytes: u64) {
    gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}
