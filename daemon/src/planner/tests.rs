//! A snapshot's data, which tables change, and the plan in lines.

mod pauses;
mod plans;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use checkpoint::Id;
use config::{BuildWhen, Config, EngineKind, Rule};
use engine::{Library, Manifest, Phase, Progress, Removal, Runtime, Target};
use protocol::GpuReading;

use super::*;
use crate::{
    gate::{Decision, Gpu},
    inventory::{Aliases, Catalogue, Held, Whereabouts},
    library::{Proofs, Timings, Unusables},
    samples::{identified, known, manifest, stamp, validation},
};

const NOW_S: u64 = 1_795_000_000;

/// Everything that a snapshot refers to: one idle GPU, enough of everything, and nothing built yet.
struct Known {
    config: Config,
    catalogue: Catalogue,
    aliases: Aliases,
    library: Library,
    free: Result<u64, String>,
    condemned: BTreeMap<Id, Removal>,
    stuck: HashMap<std::path::PathBuf, String>,
    urgent: HashSet<Id>,
    doubted: HashSet<Id>,
    paused: Option<Paused>,
    minute: u16,
    draws: bool,
    setbacks: HashMap<Id, Setback>,
    trouble: Option<Pause>,
    pauses: HashMap<Id, Pause>,
    deadly: Deadly,
    gpus: Vec<Gpu>,
    decisions: Vec<Decision>,
    readings: Vec<GpuReading>,
    desired: DesiredEngines,
    work: Vec<Work>,
    builders: usize,
    order: Option<Order>,
    nothing: Nothing,
}

/// What is empty in every case: problems, proofs, timings, unusable sizes, shapes, and what was recently used and where.
type Nothing = (
    BTreeMap<std::path::PathBuf, String>,
    Proofs,
    Timings,
    Unusables,
    BTreeMap<Id, InUse>,
    HashSet<Id>,
    Whereabouts,
);

impl Known {
    /// These checkpoints, each to have one engine of this kind.
    fn new(kind: EngineKind, names: &[&str]) -> Self {
        let config = Config {
            models_dirs: vec!["/m".into()],
            data_dir: "/d".into(),
            engines: Some(kind),
            build: BuildWhen::Idle,
            fixed_engines: 0,
            rules: vec![Rule { presets: vec!["default".to_owned()], ..Rule::default() }],
            ..Config::default()
        };
        let mut catalogue = Catalogue::new(Duration::ZERO);
        for (inode, name) in (1..).zip(names) {
            let stamp = stamp(inode, inode.into());
            let path = Path::new("/m").join(name);
            let dir = Path::new("/m").into();
            catalogue.seen(&dir, vec![(path, stamp)], Instant::now(), |_, stamp| {
                Some(known(stamp, identified(name)))
            });
        }
        let gpu = Gpu {
            uuid: "GPU-0".to_owned(),
            name: "a GPU".to_owned(),
            compute_capability: "8.9".parse().unwrap(),
            driver: "1".to_owned(),
            pci: None,
        };
        let mut known = Self {
            catalogue,
            aliases: Aliases::default(),
            library: Library::in_memory(&config.data_dir, []),
            free: Ok(u64::MAX),
            condemned: BTreeMap::new(),
            stuck: HashMap::new(),
            urgent: HashSet::new(),
            doubted: HashSet::new(),
            paused: None,
            minute: 0,
            draws: false,
            setbacks: HashMap::new(),
            trouble: None,
            pauses: HashMap::new(),
            deadly: Deadly::new(),
            gpus: vec![gpu],
            decisions: vec![Decision::Start],
            readings: vec![GpuReading::default()],
            desired: DesiredEngines::default(),
            work: Vec::new(),
            builders: 1,
            order: None,
            nothing: Default::default(),
            config,
        };
        known.find_runtime();
        known
    }

    fn find_runtime(&mut self) {
        let runtime = Runtime { version: "1.7.1.116".to_owned(), libraries: None };
        self.desired.record_target(Ok(Target::new(runtime, &self.config, &[])));
    }

    fn snapshot(&self) -> Snapshot<'_> {
        let (problems, proofs, timings, unusable, shapes, unfit, whereabouts) = &self.nothing;
        Snapshot {
            config: &self.config,
            now_s: NOW_S,
            lived_s: NOW_S,
            catalogue: &self.catalogue,
            aliases: &self.aliases,
            problems,
            whereabouts,
            surveyed: true,
            hashed: true,
            library: &self.library,
            free: &self.free,
            condemned: &self.condemned,
            stuck: &self.stuck,
            proofs,
            timings,
            unusable,
            asked: &[],
            urgent: &self.urgent,
            doubted: &self.doubted,
            recent: &[],
            paused: self.paused,
            minute: self.minute,
            draws: self.draws,
            shapes,
            setbacks: &self.setbacks,
            trouble: self.trouble.clone(),
            pauses: self.pauses.clone(),
            deadly: &self.deadly,
            troubles: Vec::new(),
            ran_out: HashMap::new(),
            unfit,
            gpus: &self.gpus,
            gpu_problem: None,
            decisions: &self.decisions,
            readings: Some(&self.readings),
            memory_free: None,
            desired: &self.desired,
            work: self.work.iter().collect(),
            builders: self.builders,
            order: self.order.as_ref(),
        }
    }

    /// Returns the plan, one line for each thing.
    fn plan(&self, news: News) -> Vec<String> {
        let snapshot = self.snapshot();
        let plan = plan(&snapshot, &snapshot.catalogue.held(), news);
        let names = ["a", "b"].map(|name| (weights(name), name));
        let name =
            |id: &Id| names.iter().find(|(known, _)| known == id).map_or("?", |(_, name)| name);
        let mut said: Vec<_> = plan.end.iter().map(|(_, why)| format!("stop: {why:?}")).collect();
        said.extend(plan.evict.iter().map(|eviction| match eviction.grounds {
            Grounds::Superseded(_) => "evict: Superseded".to_owned(),
            grounds => format!("evict: {grounds:?}"),
        }));
        said.extend(plan.dispatch.map(|dispatch| match dispatch {
            Dispatch::Start(next) => {
                let Next { want, slot, .. } = *next;
                format!("{:?} for {} on {slot:?}", want.errand, name(&want.weights))
            }
            Dispatch::Reread(weights) => format!("reread {}", name(&weights)),
            Dispatch::Refuse(why) => format!("refuse: {why:?}"),
        }));
        said.extend(plan.queue.iter().map(|want| match &want.obstacle {
            None => format!("queued: {:?} for {}", want.errand, name(&want.weights)),
            Some(obstacle) => format!("waits: {}", obstacle.to_string().split(':').next().unwrap()),
        }));
        said
    }

    /// The desired engine of the checkpoint `a`.
    fn wanted(&self) -> Manifest {
        let snapshot = self.snapshot();
        let held: HashMap<Id, Held<'_>> = self.catalogue.held();
        let desired = snapshot.desired(&held[&weights("a")]);
        manifest(desired[0].wanted.spec.clone(), &["default"], "a")
    }

    /// Adds that engine, validated if `is_validated`.
    fn build(&mut self, is_validated: bool) {
        let mut manifest = self.wanted();
        if is_validated {
            manifest.validations.push(validation("a GPU", "1", Some(0.01)));
        }
        self.library = Library::in_memory(&self.config.data_dir, [manifest]);
    }

    /// Starts the first job in the queue, on the GPU unless it runs aside.
    fn start(&mut self) {
        let snapshot = self.snapshot();
        let plan = plan(&snapshot, &snapshot.catalogue.held(), News::default());
        let Some(Dispatch::Start(next)) = plan.dispatch else { panic!("nothing starts") };
        let Next { want, slot, .. } = *next;
        self.work.push(Work {
            want,
            gpu: (slot != Slot::Aside).then(|| "GPU-0".to_owned()),
            progress: Progress { phase: Phase::Graph, percent: 0 },
            started: Instant::now().into(),
        });
    }
}

fn weights(name: &str) -> Id {
    Id::from(blake3::hash(name.as_bytes()))
}
