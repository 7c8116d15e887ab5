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
    Deadly, Desired, DesiredEngines, InUse, NoRuntime, Order, Pause, Paused, Setback, Want,
    in_order, usual,
};
use crate::{
    gate::{Decision, Gpu},
    inventory::{Aliases, Catalogue, Held, Whereabouts},
    library::{Proofs, Timings, Unusables},
};

/// Everything that the daemon knows at one moment. Views and plans follow from this alone.
#[derive(Clone)]
pub(crate) struct Snapshot<'a> {
    pub(crate) config: &'a Config,
    /// Seconds since 1970.
    pub(crate) now_s: u64,
    /// Seconds through which the daemon has lived, which grace times count.
    pub(crate) lived_s: u64,
    pub(crate) catalogue: &'a Catalogue,
    /// Other names of folders than the listed ones.
    pub(crate) aliases: &'a Aliases,
    /// Problems of models folders.
    pub(crate) problems: &'a BTreeMap<PathBuf, String>,
    /// Where contents may be that no file is seen to have.
    pub(crate) whereabouts: &'a Whereabouts,
    /// Once since the start, every folder was seen and the header of every file known: an orphan
    /// of an earlier life is still one if no file took it up by then.
    pub(crate) surveyed: bool,
    /// The same with the content of every file, which decides who uses baked engines.
    pub(crate) hashed: bool,
    pub(crate) library: &'a Library,
    /// Free bytes on the engines' disk, measured while nothing was being built, or why they are unknown.
    pub(crate) free: &'a Result<u64, String>,
    /// Engines to remove whatever their use.
    pub(crate) condemned: &'a BTreeMap<Id, Removal>,
    /// Plans and files that could not be removed recently, and why.
    pub(crate) stuck: &'a HashMap<PathBuf, String>,
    /// Errors against PyTorch in the web UI.
    pub(crate) proofs: &'a Proofs,
    /// How long engines and PyTorch take in the web UI.
    pub(crate) timings: &'a Timings,
    /// Calls at which engines failed in the web UI.
    pub(crate) unusable: &'a Unusables,
    /// Engines that the user requested, in order.
    pub(crate) asked: &'a [Id],
    /// Engines requested even on a busy machine.
    pub(crate) urgent: &'a HashSet<Id>,
    /// Engines to be validated once more.
    pub(crate) doubted: &'a HashSet<Id>,
    /// Checkpoints by their use in the web UI, the most recent first.
    pub(crate) recent: &'a [Id],
    /// The pause that is in effect.
    pub(crate) paused: Option<Paused>,
    /// The minute of the day, in local time.
    pub(crate) minute: u16,
    /// Whether the machine draws from a battery.
    pub(crate) draws: bool,
    /// The shapes that front ends request, by signature.
    pub(crate) shapes: &'a BTreeMap<Id, InUse>,
    /// Why jobs are not repeated until they are requested.
    pub(crate) setbacks: &'a HashMap<Id, Setback>,
    /// Why no job is tried at present.
    pub(crate) trouble: Option<Pause>,
    /// Jobs that failed for a temporary reason.
    pub(crate) pauses: HashMap<Id, Pause>,
    /// The jobs during which an earlier run of sdtrtd ended.
    pub(crate) deadly: &'a Deadly,
    /// What is wrong with the machine, in words.
    pub(crate) troubles: Vec<String>,
    /// How long ago each job ran out of GPU memory.
    pub(crate) ran_out: HashMap<Id, Duration>,
    /// UNets whose weights engines can't use: others are used for validations.
    pub(crate) unfit: &'a HashSet<Id>,
    pub(crate) gpus: &'a [Gpu],
    /// What is wrong with the driver or a GPU.
    pub(crate) gpu_problem: Option<String>,
    /// Whether each GPU is idle, if that matters.
    pub(crate) decisions: &'a [Decision],
    /// Each GPU's use in the last sample, empty if it could not be read; `None` before the first.
    pub(crate) readings: Option<&'a [GpuReading]>,
    /// Bytes of available memory on this machine in the last sample.
    pub(crate) memory_free: Option<u64>,
    /// What engines are built with and for.
    pub(crate) desired: &'a DesiredEngines,
    /// The running jobs.
    pub(crate) work: Vec<&'a Work>,
    /// How many of them may run aside.
    pub(crate) builders: usize,
    /// The next ordered plan.
    pub(crate) order: Option<&'a Order>,
}

/// A checkpoint's rank among those that share an engine.
pub(super) type Rank = (Reverse<usize>, i128, Id);

/// A running job.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) want: Want,
    /// The UUID of its GPU.
    pub(crate) gpu: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) started: Instant,
}

impl Snapshot<'_> {
    /// What engines are built with and for, or why nothing can be built.
    pub(crate) fn target(&self) -> &Result<Target, NoRuntime> {
        self.desired.target()
    }

    /// Whether TensorRT is still being looked for, so that the desired engines are unknown.
    pub(crate) fn is_runtime_sought(&self) -> bool {
        matches!(self.target(), Err(NoRuntime::Sought))
    }

    /// Returns this checkpoint's desired engines, those for presets first; none while nothing can be built,
    /// or if rules exclude it.
    pub(crate) fn desired(&self, held: &Held<'_>) -> Arc<[Desired]> {
        self.desired.of(held, || self.names(held), || self.chosen_shapes(held.identity))
    }

    /// Returns the key of this checkpoint's entry in `list`: its path while its content is unknown.
    pub(crate) fn key(&self, weights: &Id) -> EntryKey {
        let path = self.catalogue.provisional(weights);
        path.map_or(EntryKey::Weights(*weights), |path| {
            EntryKey::Path(path.to_string_lossy().into_owned())
        })
    }

    /// Returns all paths by which a user may know a checkpoint.
    pub(crate) fn names(&self, held: &Held<'_>) -> Vec<PathBuf> {
        self.aliases.names_of(held.paths.iter().copied())
    }

    /// Returns the shapes of such UNets that get engines of their own.
    fn chosen_shapes(&self, identity: &Identity) -> Vec<Shape> {
        let in_use = self.shapes.get(&identity.signature);
        let usual = usual(identity.architecture.kind);
        let nothing = InUse::default();
        in_use.unwrap_or(&nothing).chosen(&usual, self.config.fixed_engines)
    }

    /// Returns the keys of all desired engines of these checkpoints.
    pub(crate) fn desired_keys(&self, held: &HashMap<Id, Held<'_>>) -> HashSet<Id> {
        let mut keys = HashSet::new();
        for held in held.values() {
            keys.extend(self.desired(held).iter().map(|desired| desired.engine));
        }
        keys
    }

    /// Returns the jobs to do in order, without the running ones.
    pub(crate) fn queue(&self, held: &HashMap<Id, Held<'_>>) -> Vec<Want> {
        self.desired.keep(held);
        let wants = self.missing(held).chain(self.validations(held));
        let mut queue = in_order(wants, self.asked, self.recent);
        self.put_last(&mut queue);
        queue
    }

    /// Among checkpoints that share an engine, the one with the highest rank decides: the most recently used
    /// one, then the newest.
    pub(super) fn rank(&self, held: &Held<'_>) -> Rank {
        let weights = held.identity.ids.weights;
        let turn = self.recent.iter().position(|other| *other == weights);
        (Reverse(turn.unwrap_or(usize::MAX)), held.newest_ns, weights)
    }
}
