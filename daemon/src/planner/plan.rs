use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use checkpoint::Id;
use config::{BuildWhen, runtime::onnx_runtime};
use engine::{
    EngineSpec, Published, Removal, Source, Task, Wanted, Weights, kernels_file, kernels_folder,
};

use super::{
    Cause, Errand, Grounds, Place, Refusal, Slot, Snapshot, Step, Stop, Takes, Want, Work,
    holdings::ids, memory_bytes, room,
};
use crate::{gate::Decision, inventory::Held};

/// What to do now: ends, then evictions, then starts, one at a time, because each changes what follows.
#[derive(Default)]
pub(crate) struct Plan {
    /// Jobs to end, and why.
    pub(crate) end: Vec<(Id, Stop)>,
    /// Engines to evict.
    pub(crate) evict: Vec<Eviction>,
    pub(crate) dispatch: Option<Dispatch>,
    /// The jobs to do later, in order.
    pub(crate) queue: Vec<Want>,
}

/// Events that matter only for the next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The daemon stops: nothing is started or evicted.
    pub(crate) stopping: bool,
    /// A pause has begun: every job ends.
    pub(crate) paused: bool,
    /// The configuration has changed: jobs that it no longer wants end.
    pub(crate) reconfigured: bool,
    /// An engine may be used now: what it replaces is removed.
    pub(crate) serving: bool,
    /// Everything unneeded is removed.
    pub(crate) tidying: bool,
}

/// An engine to remove.
#[derive(Debug)]
pub(crate) struct Eviction {
    pub(crate) engine: Id,
    pub(crate) bytes: u64,
    pub(crate) grounds: Grounds,
}

/// What to start.
pub(crate) enum Dispatch {
    /// A job.
    Start(Box<Next>),
    /// A checkpoint must be read again, because too little of it is known.
    Reread(Id),
    /// The next ordered plan can't be written, for this reason.
    Refuse(Refusal),
}

/// A job to start.
pub(crate) struct Next {
    pub(crate) want: Want,
    pub(crate) slot: Slot,
    pub(crate) spec: EngineSpec,
    pub(crate) task: Task,
    /// Engines to evict before.
    pub(crate) evict: Vec<Id>,
    /// The file that it is built from or run with; what needs no file is built from the signature.
    pub(crate) source: Option<Source>,
    /// The checkpoint's location.
    pub(crate) location: PathBuf,
}

/// A client's order of a plan with a checkpoint's weights inside.
pub(crate) struct Order {
    pub(crate) weights: Id,
    pub(crate) output: PathBuf,
}

impl Plan {
    /// Whether nothing is left to do.
    pub(crate) fn is_settled(&self) -> bool {
        self.end.is_empty() && self.evict.is_empty() && self.dispatch.is_none()
    }
}

/// Decides what to do, from what is known; `held` are all contents.
pub(crate) fn plan(snapshot: &Snapshot<'_>, held: &HashMap<Id, Held<'_>>, news: News) -> Plan {
    let end = snapshot.to_end(held, news);
    if !end.is_empty() {
        return Plan { end, ..Plan::default() };
    }
    let evict = snapshot.to_evict(news);
    if !evict.is_empty() {
        return Plan { evict, ..Plan::default() };
    }
    let order = if news.stopping { None } else { snapshot.next_order(held) };
    if order.is_some() {
        return Plan { dispatch: order, ..Plan::default() };
    }
    let queue = snapshot.queue(held);
    let dispatch = if news.stopping { None } else { snapshot.next(held, &queue) };
    Plan { dispatch, queue, ..Plan::default() }
}

impl Snapshot<'_> {
    /// Returns the jobs to end, and why.
    fn to_end(&self, held: &HashMap<Id, Held<'_>>, news: News) -> Vec<(Id, Stop)> {
        if news.paused {
            return self.work.iter().map(|work| (work.want.job, Stop::Paused)).collect();
        }
        let mut end = Vec::new();
        if self.is_drawing() {
            let others = |work: &&&Work| !self.urgent.contains(&work.want.engine);
            end.extend(self.work.iter().filter(others).map(|work| (work.want.job, Stop::Battery)));
        }
        for (number, decision) in self.decisions.iter().enumerate() {
            let Decision::Stop(reason) = decision else { continue };
            let Some(work) = self.work_at(Slot::Device(number)) else { continue };
            let goes_on =
                self.config.build == BuildWhen::Always || self.urgent.contains(&work.want.engine);
            if !goes_on {
                end.push((work.want.job, Stop::Busy(reason.clone())));
            }
        }
        if news.reconfigured {
            let wanted = self.desired_keys(held);
            let is_unwanted = |want: &Want| match want.errand {
                Errand::Materialize => false,
                _ if self.is_off(&want.engine) => true,
                // Without TensorRT the desired engines are unknown.
                Errand::Build => self.target().is_ok() && !wanted.contains(&want.engine),
                Errand::Validate => false,
            };
            let unwanted = self.work.iter().filter(|work| is_unwanted(&work.want));
            end.extend(unwanted.map(|work| (work.want.job, Stop::Unwanted)));
        }
        end
    }

    /// Returns the engines to evict: those that the user removed or that are not needed, or else what exceeds
    /// the quota.
    fn to_evict(&self, news: News) -> Vec<Eviction> {
        let is_tried = |engine: &Id| self.stuck.contains_key(&self.library.plan(engine));
        let manifests = self.library.manifests();
        let condemned = self.condemned.iter().filter_map(|(engine, removal)| {
            let bytes = manifests.get(engine)?.bytes;
            let grounds = match removal {
                Removal::Damaged => Grounds::Damaged,
                _ => Grounds::Requested,
            };
            Some(Eviction { engine: *engine, bytes, grounds })
        });
        let mut evict: Vec<_> = condemned.collect();
        if news.tidying || news.serving && !news.stopping {
            let unneeded = self.unneeded().into_iter();
            let goes =
                |one: &Eviction| news.tidying || matches!(one.grounds, Grounds::Superseded(_));
            evict.extend(unneeded.filter(goes));
        }
        evict.retain(|one| !is_tried(&one.engine));
        if evict.is_empty() && !news.stopping {
            let victims = self.holdings().excess().victims.into_iter();
            let victims = victims.filter_map(|engine| {
                let bytes = manifests.get(&engine)?.bytes;
                Some(Eviction { engine, bytes, grounds: Grounds::OverQuota })
            });
            evict.extend(victims.filter(|one| !is_tried(&one.engine)));
        }
        evict
    }

    /// Returns the first job in the queue that may start, and its slot.
    fn next(&self, held: &HashMap<Id, Held<'_>>, queue: &[Want]) -> Option<Dispatch> {
        let may_be = |want: &&Want| want.obstacle.is_none() && self.may_join(&want.job);
        let mut possible = queue.iter().filter(may_be);
        let (want, slot) = possible.find_map(|want| Some((want, self.slot_for(want)?)))?;
        let held = held.get(&want.weights)?;
        let (spec, task, evict) = match want.errand {
            Errand::Build => {
                let desired = self.desired(held);
                let desired = desired.iter().find(|desired| desired.engine == want.engine)?;
                let needed = want.takes.disk_bytes + self.disk_taken();
                let room = self.holdings().room_for(&ids(held.identity), needed);
                (desired.wanted.spec.clone(), Task::Build, room.victims)
            }
            _ => {
                let spec = self.library.manifests().get(&want.engine)?.spec.clone();
                let published = self.published(&want.engine, &spec, slot)?;
                (spec, Task::Validate(published), Vec::new())
            }
        };
        let source = match (want.errand, &spec.weights) {
            (Errand::Build, Weights::Shared(_)) => None,
            _ => Some(self.source(held)),
        };
        let location = held.paths.first()?.to_path_buf();
        let source = match source {
            Some(None) => return Some(Dispatch::Reread(want.weights)),
            Some(source) => source,
            None => None,
        };
        let want = want.clone();
        Some(Dispatch::Start(Box::new(Next { want, slot, spec, task, evict, source, location })))
    }

    /// Returns a file with these weights.
    fn source(&self, held: &Held<'_>) -> Option<Source> {
        let path: &Path = held.paths.first()?;
        let stamp = self.catalogue.at(path)?.stamp;
        Some(Source::Checkpoint { path: path.to_owned(), stamp })
    }

    /// Returns the files of a published engine that is to run in this slot.
    fn published(&self, engine: &Id, spec: &EngineSpec, slot: Slot) -> Option<Published> {
        let gpu = self.gpu_at(slot)?;
        let machine = kernels_folder(&gpu.name, &gpu.driver, &spec.version);
        Some(Published {
            plan: self.library.plan(engine),
            kernels: kernels_file(&self.config.data_dir, &machine, engine),
            onnx_runtime: onnx_runtime(&self.config.data_dir),
        })
    }

    /// Returns the next ordered plan, unless one is being written, or no slot or too little memory is free.
    fn next_order(&self, held: &HashMap<Id, Held<'_>>) -> Option<Dispatch> {
        let order = self.order?;
        let is_under_way = self.work.iter().any(|work| work.want.errand == Errand::Materialize);
        if is_under_way || self.work_at(Slot::Aside).is_some() {
            return None;
        }
        let refuse = |why| Some(Dispatch::Refuse(why));
        let Some(held) = held.get(&order.weights) else { return refuse(Refusal::Gone) };
        // It waits for the content, which goes into the plan.
        if held.identity.ids.are_provisional() {
            return None;
        }
        let parameters = held.identity.unet_parameters;
        let takes = Takes {
            place: Place::Aside,
            memory_bytes: memory_bytes(parameters),
            ..Takes::default()
        };
        if self.lacks(&order.weights, &takes).is_some() {
            return None;
        }
        let target = match self.target() {
            Ok(target) => target,
            Err(problem) => return refuse(Refusal::NoRuntime(problem.clone())),
        };
        let Wanted { spec, presets, .. } = target.baked(held.identity, &held.paths);
        let source = self.source(held);
        let location = held.paths.first().map(|path| path.to_path_buf());
        let (Some(source), Some(location)) = (source, location) else {
            return refuse(Refusal::Gone);
        };
        let disk_bytes = room::needed(held.identity, &spec.weights);
        let output = order.output.clone();
        let want = Want {
            job: Id::from(blake3::hash(output.as_os_str().as_encoded_bytes())),
            errand: Errand::Materialize,
            engine: spec.key(),
            presets,
            shape: None,
            step: Step::Open,
            number: 0,
            weights: order.weights,
            unet: held.identity.ids.unet,
            newest_ns: held.newest_ns,
            why: Cause::Requested,
            takes: Takes { disk_bytes, ..takes },
            obstacle: None,
        };
        Some(Dispatch::Start(Box::new(Next {
            want,
            slot: Slot::Aside,
            spec,
            task: Task::Materialize { output },
            evict: Vec::new(),
            source: Some(source),
            location,
        })))
    }
}
