use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use checkpoint::Id;
use config::Config;
use engine::{Library, Progress, Removal, Target};
use protocol::GpuReading;
use tokio::time::Instant;

use crate::{
    build::{Builder, RuntimeProblem},
    cache::Store,
    gate::{Decision, Gates, Gpu},
    intent::Intent,
    inventory::{Catalogue, Held},
    jobs::Jobs,
    library::{Proofs, Unusables},
    planner::{
        Want,
        desired::{Desired, Memo},
        in_order,
    },
    retry::Retry,
};

/// Everything the daemon knows. What it shows and what it does next follow from this alone.
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) catalogue: Catalogue,
    pub(crate) library: Library,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) gpus: Vec<Gpu>,
    pub(crate) target: Result<Target, RuntimeProblem>,
    /// What the target says of each checkpoint; goes with it.
    memo: Memo,
    /// How far engines were off in the web UI.
    pub(crate) proofs: Proofs,
    /// The calls for which engines gave NaN or infinity there.
    pub(crate) unusable: Unusables,
    /// What is wrong with a models folder.
    pub(crate) problems: BTreeMap<PathBuf, String>,
    /// Some folder or disk could not be looked at, so that more may lie there.
    pub(crate) incomplete: bool,
    /// The jobs under way.
    pub(crate) jobs: Jobs,
    /// Bytes that were free for engines when last looked at while none was built, or why that is
    /// not known.
    pub(crate) free: Result<u64, String>,
    /// Once since the start, every folder was seen and the content of every file known: an orphan
    /// of an earlier life is still one if no file took it up by then.
    pub(crate) surveyed: bool,
    /// What has just been said.
    pub(crate) news: News,
    /// Engines that go because of themselves.
    pub(crate) condemned: BTreeMap<Id, Removal>,
    /// Engines that could not be removed a moment ago, and why.
    pub(crate) stuck: HashMap<Id, String>,
    /// Seconds since 1970.
    pub(crate) now_s: u64,
    /// Whether each place is idle, where that counts.
    pub(crate) decisions: Vec<Decision>,
    /// How each GPU was used at the last look, empty if they could not be read; `None` before the first.
    pub(crate) readings: Option<Vec<GpuReading>>,
    /// Bytes of the machine's memory that were free at the last look.
    pub(crate) memory_free: Option<u64>,
    pub(crate) intent: Intent,
    pub(crate) retry: Retry,
}

/// How a checkpoint compares with others that share an engine.
pub(crate) type Rank = (Reverse<usize>, i128, Id);

/// A job under way.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) want: Want,
    /// The GPU that it is done on, by UUID.
    pub(crate) gpu: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) started: Instant,
}

/// What has just been said, and is over once it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The daemon is to end: nothing is begun any more, and no engine goes.
    pub(crate) stopping: bool,
    /// A pause began: whatever is under way ends.
    pub(crate) paused: bool,
    /// The configuration is another: what it no longer wants ends.
    pub(crate) reconfigured: bool,
    /// An engine may be used now: what it takes the place of goes.
    pub(crate) serving: bool,
    /// Whatever nobody needs goes.
    pub(crate) tidying: bool,
}

impl World {
    /// What has been said since the last time; that the daemon is to end stays.
    pub(crate) fn take_news(&mut self) -> News {
        let next = News { stopping: self.news.stopping, ..News::default() };
        std::mem::replace(&mut self.news, next)
    }

    /// Before anything was looked at.
    pub(crate) fn new(
        config: Config,
        library: Library,
        store: Arc<dyn Store>,
        gpus: Vec<Gpu>,
        builder: Arc<dyn Builder>,
    ) -> Self {
        Self {
            catalogue: Catalogue::new(config.settle()),
            target: Err(RuntimeProblem::Sought),
            memo: Memo::default(),
            proofs: Proofs::new(),
            unusable: Unusables::new(),
            problems: BTreeMap::new(),
            incomplete: false,
            jobs: Jobs::new(builder),
            free: Ok(0),
            intent: Intent::new(store.clone()),
            retry: Retry::new(store.clone()),
            surveyed: false,
            news: News::default(),
            condemned: BTreeMap::new(),
            stuck: HashMap::new(),
            now_s: 0,
            decisions: Gates::new(gpus.len(), config.idle()).too_soon(),
            gpus,
            readings: None,
            memory_free: None,
            config,
            library,
            store,
        }
    }

    /// The engines that this checkpoint should have, those of its presets first; none as long as there is
    /// nothing to build them with, and where rules want none.
    pub(crate) fn desired(&self, held: &Held<'_>) -> Arc<[Desired]> {
        match &self.target {
            Ok(target) => self.memo.ask(target, held, || self.chosen_shapes(held.identity)),
            Err(_) => Arc::default(),
        }
    }

    /// The keys of the engines that any of these checkpoints should have.
    pub(crate) fn desired_keys(&self, held: &HashMap<Id, Held<'_>>) -> HashSet<Id> {
        let mut keys = HashSet::new();
        for held in held.values() {
            keys.extend(self.desired(held).iter().map(|desired| desired.engine));
        }
        keys
    }

    /// From now on engines are built with and for this.
    pub(crate) fn set_target(&mut self, target: Result<Target, RuntimeProblem>) {
        self.target = target;
        self.forget_desired();
    }

    /// What checkpoints should have is worked out anew.
    pub(crate) fn forget_desired(&mut self) {
        self.memo = Memo::default();
    }

    /// What is to be done, the jobs under way left out, in order.
    pub(crate) fn queue(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        self.memo.keep(held);
        let wants = self.missing(held).chain(self.validations(held));
        in_order(wants, self.intent.asked(), self.intent.recent())
    }

    /// Of several checkpoints that an engine is for, the one with the greatest rank decides: the one used
    /// last, then the newest.
    pub(crate) fn rank(&self, held: &Held<'_>) -> Rank {
        let weights = held.identity.ids.weights;
        let turn = self.intent.recent().iter().position(|other| *other == weights);
        (Reverse(turn.unwrap_or(usize::MAX)), held.newest_ns, weights)
    }

    /// Has everything that is to be done with `engine` be done as if it had never failed.
    pub(crate) fn forget_failures(&mut self, engine: &Id) {
        for job in self.jobs_of(engine) {
            self.retry.record_fresh_start(job);
        }
    }

    /// Has `engine` built or validated next, whatever spoke against it.
    pub(crate) fn ask_for(&mut self, engine: Id) {
        self.forget_failures(&engine);
        self.intent.record_asked(engine);
    }

    /// Has `engine` built or validated before all others and at once, whatever the machine does.
    pub(crate) fn ask_for_at_once(&mut self, engine: Id) {
        self.forget_failures(&engine);
        self.intent.record_urgent(engine);
    }
}
