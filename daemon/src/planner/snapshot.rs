use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use checkpoint::{Id, Identity};
use config::Config;
use engine::{Library, Progress, Removal, Target};
use protocol::{EntryKey, GpuReading, Shape};
use tokio::time::Instant;

use super::{
    Deadly, Desired, DesiredEngines, InUse, NoRuntime, Order, Pause, Setback, Want, in_order, usual,
};
use crate::{
    gate::{Decision, Gpu},
    inventory::{Aliases, Catalogue, Held, Whereabouts},
    library::{Proofs, Unusables},
};

/// Everything that the daemon knows at one moment. What it shows and what it does next follow from this alone.
#[derive(Clone)]
pub(crate) struct Snapshot<'a> {
    pub(crate) config: &'a Config,
    /// Seconds since 1970.
    pub(crate) now_s: u64,
    /// Seconds through which the daemon has lived, which grace times count.
    pub(crate) lived_s: u64,
    pub(crate) catalogue: &'a Catalogue,
    /// Other names of folders than those under which they are listed.
    pub(crate) aliases: &'a Aliases,
    /// What is wrong with a models folder.
    pub(crate) problems: &'a BTreeMap<PathBuf, String>,
    /// Where contents may be that no file is seen to have.
    pub(crate) whereabouts: &'a Whereabouts,
    /// Once since the start, every folder was seen and the header of every file known: an orphan
    /// of an earlier life is still one if no file took it up by then.
    pub(crate) surveyed: bool,
    /// The same with the content of every file, by which baked engines are taken up.
    pub(crate) hashed: bool,
    pub(crate) library: &'a Library,
    /// Bytes that were free for engines when last looked at while none was built, or why that is
    /// not known.
    pub(crate) free: &'a Result<u64, String>,
    /// Engines that go because of themselves.
    pub(crate) condemned: &'a BTreeMap<Id, Removal>,
    /// Plans and files that could not be removed a moment ago, and why.
    pub(crate) stuck: &'a HashMap<PathBuf, String>,
    /// How far engines were off in the web UI.
    pub(crate) proofs: &'a Proofs,
    /// The calls for which engines gave NaN or infinity there.
    pub(crate) unusable: &'a Unusables,
    /// Engines that the user asked for, in order.
    pub(crate) asked: &'a [Id],
    /// Engines asked for whatever the machine does.
    pub(crate) urgent: &'a HashSet<Id>,
    /// Checkpoints by their use in the web UI, the one used last first.
    pub(crate) recent: &'a [Id],
    /// `sdtrtctl pause` was the last word.
    pub(crate) paused: bool,
    /// The shapes that front ends ask for, by signature.
    pub(crate) shapes: &'a BTreeMap<Id, InUse>,
    /// Why a job is not done until it is asked for.
    pub(crate) setbacks: &'a HashMap<Id, Setback>,
    /// What no job is tried for now for.
    pub(crate) trouble: Option<Pause>,
    /// Jobs that failed for what may pass.
    pub(crate) pauses: HashMap<Id, Pause>,
    /// Those that an earlier life of sdtrtd ended with.
    pub(crate) deadly: &'a Deadly,
    /// What is wrong with the machine, for people to read.
    pub(crate) troubles: Vec<String>,
    /// How long ago a job ran out of a GPU's memory.
    pub(crate) ran_out: HashMap<Id, Duration>,
    /// UNets whose weights engines can't compute with: others are taken for validations.
    pub(crate) unfit: &'a HashSet<Id>,
    pub(crate) gpus: &'a [Gpu],
    /// What is wrong with the driver or a GPU.
    pub(crate) gpu_problem: Option<String>,
    /// Whether each GPU is idle, where that counts.
    pub(crate) decisions: &'a [Decision],
    /// How each GPU was used at the last look, empty if they could not be read; `None` before the first.
    pub(crate) readings: Option<&'a [GpuReading]>,
    /// Bytes of the machine's memory that were free at the last look.
    pub(crate) memory_free: Option<u64>,
    /// What engines are built with and for.
    pub(crate) desired: &'a DesiredEngines,
    /// The jobs under way.
    pub(crate) work: Vec<&'a Work>,
    /// How many of them may be done aside.
    pub(crate) builders: usize,
    /// The plan that is to be written next for whoever asked for it.
    pub(crate) order: Option<&'a Order>,
}

/// How a checkpoint compares with others that share an engine.
pub(super) type Rank = (Reverse<usize>, i128, Id);

/// A job under way.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) want: Want,
    /// The GPU that it is done on, by UUID.
    pub(crate) gpu: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) started: Instant,
}

impl Snapshot<'_> {
    /// What engines are built with and for, or why there is nothing.
    pub(crate) fn target(&self) -> &Result<Target, NoRuntime> {
        self.desired.target()
    }

    /// Whether TensorRT is still being looked for, so that nobody knows which engines there should be.
    pub(crate) fn is_runtime_sought(&self) -> bool {
        matches!(self.target(), Err(NoRuntime::Sought))
    }

    /// The engines that this checkpoint should have, those of its presets first; none as long as there is
    /// nothing to build them with, and where rules want none.
    pub(crate) fn desired(&self, held: &Held<'_>) -> Arc<[Desired]> {
        self.desired.of(held, || self.names(held), || self.chosen_shapes(held.identity))
    }

    /// The key of the entry of `list` for this checkpoint: where its file lies as long as its content is not known.
    pub(crate) fn key(&self, weights: &Id) -> EntryKey {
        let path = self.catalogue.provisional(weights);
        path.map_or(EntryKey::Weights(*weights), |path| {
            EntryKey::Path(path.to_string_lossy().into_owned())
        })
    }

    /// All paths by which a person may know a checkpoint.
    pub(crate) fn names(&self, held: &Held<'_>) -> Vec<PathBuf> {
        self.aliases.names_of(held.paths.iter().copied())
    }

    /// The shapes of such UNets that get an engine of their own.
    fn chosen_shapes(&self, identity: &Identity) -> Vec<Shape> {
        let in_use = self.shapes.get(&identity.signature);
        let usual = usual(identity.architecture.kind);
        let nothing = InUse::default();
        in_use.unwrap_or(&nothing).chosen(&usual, self.config.fixed_engines)
    }

    /// The keys of the engines that any of these checkpoints should have.
    pub(crate) fn desired_keys(&self, held: &HashMap<Id, Held<'_>>) -> HashSet<Id> {
        let mut keys = HashSet::new();
        for held in held.values() {
            keys.extend(self.desired(held).iter().map(|desired| desired.engine));
        }
        keys
    }

    /// What is to be done, the jobs under way left out, in order.
    pub(crate) fn queue(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        self.desired.keep(held);
        let wants = self.missing(held).chain(self.validations(held));
        let mut queue = in_order(wants, self.asked, self.recent);
        self.put_last(&mut queue);
        queue
    }

    /// Of several checkpoints that an engine is for, the one with the greatest rank decides: the one used
    /// last, then the newest.
    pub(super) fn rank(&self, held: &Held<'_>) -> Rank {
        let weights = held.identity.ids.weights;
        let turn = self.recent.iter().position(|other| *other == weights);
        (Reverse(turn.unwrap_or(usize::MAX)), held.newest_ns, weights)
    }
}
