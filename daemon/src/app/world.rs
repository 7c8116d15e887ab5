use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use checkpoint::Id;
use config::Config;
use protocol::GpuReading;
use tokio::time::Instant;

use super::{
    keeping::{of, takes},
    wanting::{Memo, Wanting},
};
use crate::{
    build::{Library, Progress, RuntimeProblem, Target},
    gpu::Gpu,
    schedule::{Catalogue, Decision, Errand, Gates, Held, Setback, Want, plan},
    store::Store,
    webui::Proofs,
};

/// Everything the daemon knows. What it shows and what it does next follow from this alone.
pub(super) struct World {
    pub(super) config: Config,
    pub(super) catalogue: Catalogue,
    pub(super) library: Library,
    pub(super) store: Arc<dyn Store>,
    /// Why a job is not done until it is asked for.
    pub(super) setbacks: HashMap<Id, Setback>,
    /// Engines that the user asked for, in order.
    pub(super) asked: Vec<Id>,
    /// How often the worker of a job died without a word.
    pub(super) deaths: HashMap<Id, u32>,
    /// When a job ran out of a GPU's memory.
    pub(super) ran_out: HashMap<Id, Instant>,
    pub(super) gpus: Vec<Gpu>,
    pub(super) target: Result<Target, RuntimeProblem>,
    /// What the target says of each checkpoint; goes with it.
    memo: Memo,
    /// How far engines were off in the web UI.
    pub(super) proofs: Proofs,
    /// What is wrong with a models folder.
    pub(super) problems: BTreeMap<PathBuf, String>,
    /// Some folder or disk could not be looked at, so that more may lie there.
    pub(super) incomplete: bool,
    /// The jobs under way, one in each place at most.
    pub(super) work: Vec<Work>,
    /// Bytes that were free for engines when last looked at while none was built, or why that is
    /// not known.
    pub(super) free: Result<u64, String>,
    /// Once since the start, every folder was seen and the content of every file known: an orphan
    /// of an earlier life is still one if no file took it up by then.
    pub(super) surveyed: bool,
    /// `sdtrtctl pause` was the last word.
    pub(super) paused: bool,
    /// Whether each place is idle, where that counts.
    pub(super) decisions: Vec<Decision>,
    /// Signatures whose engine can't be shared, as was seen in this life.
    pub(super) unshareable: HashSet<Id>,
    /// How each GPU was used at the last look, empty if they could not be read; `None` before the first.
    pub(super) readings: Option<Vec<GpuReading>>,
    /// Bytes of the machine's memory that were free at the last look.
    pub(super) memory_free: Option<u64>,
    /// Engines asked for whatever the machine does.
    pub(super) urgent: HashSet<Id>,
    /// Checkpoints by their use in the web UI, the one used last first.
    pub(super) recent: Vec<Id>,
}

/// A job under way.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) want: Want,
    /// The GPU that it is done on, by UUID.
    pub(super) gpu: Option<String>,
    pub(super) progress: Progress,
    pub(super) started: Instant,
}

impl World {
    /// Before anything was looked at.
    pub(super) fn new(
        config: Config,
        library: Library,
        store: Arc<dyn Store>,
        gpus: Vec<Gpu>,
    ) -> Self {
        Self {
            catalogue: Catalogue::new(config.settle()),
            setbacks: store.setbacks(),
            asked: Vec::new(),
            deaths: HashMap::new(),
            ran_out: HashMap::new(),
            target: Err(RuntimeProblem::Sought),
            memo: Memo::default(),
            proofs: Proofs::new(),
            problems: BTreeMap::new(),
            incomplete: false,
            work: Vec::new(),
            free: Ok(0),
            surveyed: false,
            paused: store.is_paused(),
            decisions: Gates::new(gpus.len(), config.idle()).too_soon(),
            gpus,
            unshareable: HashSet::new(),
            readings: None,
            memory_free: None,
            urgent: HashSet::new(),
            recent: Vec::new(),
            config,
            library,
            store,
        }
    }

    /// The engine that this checkpoint should have; `None` as long as there is nothing to build it
    /// with, and where rules want none.
    pub(super) fn wanted(&self, held: &Held<'_>) -> Option<Arc<Wanting>> {
        let can_be_shared = !self.unshareable.contains(&held.identity.signature);
        self.memo.ask(self.target.as_ref().ok()?, held, can_be_shared)
    }

    /// From now on engines are built with and for this.
    pub(super) fn set_target(&mut self, target: Result<Target, RuntimeProblem>) {
        self.target = target;
        self.memo = Memo::default();
    }

    /// What is to be done, the job under way left out, in order.
    pub(super) fn queue(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        self.memo.keep(held);
        let (engines, holdings) = (self.engines(), self.holdings());
        let wants = held.iter().filter_map(|(weights, held)| {
            let wanting = self.wanted(held)?;
            let engine = wanting.engine;
            let nothing_to_do = self.library.manifests().contains_key(&engine)
                || self.setbacks.contains_key(&engine)
                || self.is_under_way(&engine);
            let engines = of(&engines, held.identity);
            (!nothing_to_do).then(|| Want {
                job: engine,
                errand: Errand::Build,
                engine,
                presets: wanting.wanted.presets.clone(),
                weights: *weights,
                newest_ns: held.newest_ns,
                why: self.why(&wanting, &engines),
                obstacle: self.obstacle(&holdings, held.identity, &wanting),
                takes: takes(held.identity, &wanting.wanted.spec.weights),
            })
        });
        plan(wants.chain(self.trials(held)), &self.asked, &self.recent)
    }

    /// Keeps or clears why a job is not to be done.
    pub(super) fn set_back(&mut self, job: Id, setback: Option<Setback>) {
        self.store.set_back(&job, setback.as_ref());
        match setback {
            Some(setback) => self.setbacks.insert(job, setback),
            None => self.setbacks.remove(&job),
        };
    }

    /// Has everything that is to be done with `engine` be done as if it had never failed.
    pub(super) fn forget_failures(&mut self, engine: &Id) {
        for job in self.jobs_of(engine) {
            if self.setbacks.contains_key(&job) {
                self.set_back(job, None);
            }
            self.deaths.remove(&job);
            self.ran_out.remove(&job);
        }
    }

    /// Has `engine` built or tried next, whatever spoke against it.
    pub(super) fn ask_for(&mut self, engine: Id) {
        self.forget_failures(&engine);
        if !self.asked.contains(&engine) {
            self.asked.push(engine);
        }
    }

    /// Has `engine` built or tried before all others and at once, whatever the machine does.
    pub(super) fn ask_for_at_once(&mut self, engine: Id) {
        self.asked.retain(|asked| *asked != engine);
        self.ask_for(engine);
        self.asked.rotate_right(1);
        self.urgent.insert(engine);
    }

    /// Nobody waits for `engine` any more.
    pub(super) fn asked_no_more(&mut self, engine: &Id) {
        self.asked.retain(|asked| asked != engine);
        self.urgent.remove(engine);
    }
}
