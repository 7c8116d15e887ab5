//! The engines that each checkpoint should have. The results are kept: with thousands of checkpoints they
//! take a second.

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
    /// Whether it serves presets: without it the checkpoint is not ready.
    pub(crate) fn is_open(&self) -> bool {
        self.wanted.shape.is_none()
    }

    /// How useful it is.
    pub(crate) fn step(&self) -> Step {
        if self.is_open() { Step::Open } else { Step::Fixed }
    }

    /// Whether it is for the same as an engine with these presets and profiles.
    pub(crate) fn is_for(&self, presets: &[String], profiles: &[Profile]) -> bool {
        match self.wanted.shape {
            Some(_) => presets.is_empty() && profiles == self.wanted.spec.profiles,
            None => self.wanted.presets.iter().any(|preset| presets.contains(preset)),
        }
    }
}

/// Why nothing can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRuntime {
    /// The libraries are still being looked for.
    Sought,
    /// For this reason, in words.
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

/// What engines are built with and for, and the desired engines that follow.
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
    /// What engines are built with and for, or why nothing can be built.
    pub(crate) fn target(&self) -> &Result<Target, NoRuntime> {
        &self.target
    }

    /// Sets what engines are built with and for.
    pub(crate) fn record_target(&mut self, target: Result<Target, NoRuntime>) {
        self.target = target;
        self.forget();
    }

    /// Discards all results.
    pub(crate) fn forget(&mut self) {
        self.memo = Memo::default();
    }

    /// Returns this checkpoint's desired engines; none while nothing can be built. `names` returns all its
    /// paths, and `shapes` those that get engines of their own.
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

    /// Discards results about checkpoints that are not in `held`.
    pub(super) fn keep(&self, held: &HashMap<Id, Held<'_>>) {
        self.memo.keep(held);
    }
}

/// Results for one target, valid as long as the same is asked.
#[derive(Debug, Default)]
struct Memo {
    answers: RefCell<HashMap<Id, Answer>>,
    /// By everything that decides them, since most checkpoints have the same.
    engines: RefCell<HashMap<Deciding, Arc<[Desired]>>>,
}

/// The signature, the UNet id if the engine is baked, and the configuration's choice.
type Deciding = (Id, Option<Id>, Choice);

/// The result for one checkpoint.
#[derive(Debug)]
struct Answer {
    paths: Vec<PathBuf>,
    desired: Arc<[Desired]>,
}

impl Memo {
    /// Returns the target's engines for this checkpoint; none if rules exclude it.
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

    /// Discards results about checkpoints that are not in `held`.
    fn keep(&self, held: &HashMap<Id, Held<'_>>) {
        let mut answers = self.answers.borrow_mut();
        if answers.len() > held.len() {
            answers.retain(|weights, _| held.contains_key(weights));
            self.engines.borrow_mut().retain(|_, desired| Arc::strong_count(desired) > 1);
        }
    }
}
