//! What each checkpoint should have, worked out once: with thousands of them it takes a second.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use checkpoint::Id;
use config::EngineKind;
use engine::{Choice, Profile, Target, Wanted};
use protocol::Shape;

use super::Step;
use crate::inventory::Held;

/// An engine that a checkpoint should have, and its key.
#[derive(Debug)]
pub(crate) struct Desired {
    pub(crate) engine: Id,
    pub(crate) wanted: Wanted,
}

impl Desired {
    /// Whether it serves presets, so that the checkpoint is not ready without it.
    pub(crate) fn is_open(&self) -> bool {
        self.wanted.shape.is_none()
    }

    /// How soon it is of use.
    pub(crate) fn step(&self) -> Step {
        if self.is_open() { Step::Open } else { Step::Fixed }
    }

    /// Whether an engine of these presets and profiles was for the same.
    pub(crate) fn is_for(&self, presets: &[String], profiles: &[Profile]) -> bool {
        match self.wanted.shape {
            Some(_) => presets.is_empty() && profiles == self.wanted.spec.profiles,
            None => self.wanted.presets.iter().any(|preset| presets.contains(preset)),
        }
    }
}

/// Why there is nothing to build with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRuntime {
    /// It is not known yet whether there is.
    Sought,
    /// For this reason, for people to read.
    Because(String),
}

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sought => f.write_str("the TensorRT-RTX libraries are being looked for"),
            Self::Because(why) => f.write_str(why),
        }
    }
}

/// What engines are built with and for, and which ones each checkpoint should have by that.
pub(crate) struct DesiredEngines {
    target: Result<Target, NoRuntime>,
    memo: Memo,
}

impl Default for DesiredEngines {
    fn default() -> Self {
        Self { target: Err(NoRuntime::Sought), memo: Memo::default() }
    }
}

impl DesiredEngines {
    /// What engines are built with and for, or why there is nothing.
    pub(crate) fn target(&self) -> &Result<Target, NoRuntime> {
        &self.target
    }

    /// From now on engines are built with and for this.
    pub(crate) fn record_target(&mut self, target: Result<Target, NoRuntime>) {
        self.target = target;
        self.forget();
    }

    /// What checkpoints should have is worked out anew.
    pub(crate) fn forget(&mut self) {
        self.memo = Memo::default();
    }

    /// What this checkpoint should have; nothing as long as there is nothing to build with. `names` tells all its
    /// paths, and `shapes` those that get an engine of their own.
    pub(super) fn of(
        &self,
        held: &Held<'_>,
        names: impl FnOnce() -> Vec<PathBuf>,
        shapes: impl FnOnce() -> Vec<Shape>,
    ) -> Arc<[Desired]> {
        match &self.target {
            Ok(target) => self.memo.ask(target, held, names, shapes),
            Err(_) => Arc::default(),
        }
    }

    /// Forgets all answers but those about the checkpoints in `held`.
    pub(super) fn keep(&self, held: &HashMap<Id, Held<'_>>) {
        self.memo.keep(held);
    }
}

/// Answers of one target. They hold as long as they are asked for in the same way.
#[derive(Debug, Default)]
struct Memo {
    answers: RefCell<HashMap<Id, Answer>>,
    /// By all that decides them, as most checkpoints should have the same.
    engines: RefCell<HashMap<Deciding, Arc<[Desired]>>>,
}

/// The signature, the UNet where its own weights are inside, and what the configuration says.
type Deciding = (Id, Option<Id>, Choice);

/// About one checkpoint.
#[derive(Debug)]
struct Answer {
    paths: Vec<PathBuf>,
    desired: Arc<[Desired]>,
}

impl Memo {
    /// What `target` says of this checkpoint; nothing if rules want no engine for it.
    fn ask(
        &self,
        target: &Target,
        held: &Held<'_>,
        names: impl FnOnce() -> Vec<PathBuf>,
        shapes: impl FnOnce() -> Vec<Shape>,
    ) -> Arc<[Desired]> {
        let mut answers = self.answers.borrow_mut();
        let ids = &held.identity.ids;
        if let Some(known) = answers.get(&ids.weights)
            && known.paths.iter().map(PathBuf::as_path).eq(held.paths.iter().copied())
        {
            return known.desired.clone();
        }
        let names = names();
        let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
        let choice = target.choice(held.identity.architecture.kind, &names);
        let unet = (choice.kind == EngineKind::Baked).then_some(ids.unet);
        let mut engines = self.engines.borrow_mut();
        let desired = engines
            .entry((held.identity.signature, unet, choice.clone()))
            .or_insert_with(|| {
                let wanted = target.engines_of(held.identity, choice, &shapes());
                let desired = |wanted: Wanted| Desired { engine: wanted.spec.key(), wanted };
                wanted.into_iter().map(desired).collect()
            })
            .clone();
        let paths = held.paths.iter().copied().map(Path::to_owned).collect();
        answers.insert(ids.weights, Answer { paths, desired: desired.clone() });
        desired
    }

    /// Forgets all answers but those about the checkpoints in `held`.
    fn keep(&self, held: &HashMap<Id, Held<'_>>) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() > held.len() {
            answers.retain(|weights, _| held.contains_key(weights));
            self.engines.borrow_mut().retain(|_, desired| Arc::strong_count(desired) > 1);
        }
    }
}
