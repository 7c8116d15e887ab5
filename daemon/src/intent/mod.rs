//! What users and front ends want.

pub(crate) mod left_shapes;

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use checkpoint::Id;

use protocol::Shape;

use crate::{
    cache::Store,
    planner::{InUse, Paused, forget_old},
};

/// What was requested, and what is used.
pub(crate) struct Intent {
    /// Engines that the user requested, in order.
    asked: Vec<Id>,
    /// Those of them that were requested even on a busy machine.
    urgent: HashSet<Id>,
    /// Engines to be validated once more.
    doubted: HashSet<Id>,
    /// Checkpoints by their use in the web UI, the most recent first.
    recent: Vec<Id>,
    /// The pause that is in effect.
    paused: Option<Paused>,
    /// The shapes that front ends request, by signature.
    shapes: BTreeMap<Id, InUse>,
    store: Arc<dyn Store>,
}

impl Intent {
    /// Restores what the store kept from the last run.
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            asked: Vec::new(),
            urgent: HashSet::new(),
            doubted: HashSet::new(),
            recent: Vec::new(),
            paused: store.paused(),
            shapes: store.shapes(),
            store,
        }
    }

    /// Engines that the user requested, in order.
    pub(crate) fn asked(&self) -> &[Id] {
        &self.asked
    }

    /// Engines that were requested even on a busy machine.
    pub(crate) fn urgent(&self) -> &HashSet<Id> {
        &self.urgent
    }

    /// Checkpoints by their use in the web UI, the most recent first.
    pub(crate) fn recent(&self) -> &[Id] {
        &self.recent
    }

    pub(crate) fn paused(&self) -> Option<Paused> {
        self.paused
    }

    /// The shapes that front ends request, by signature.
    pub(crate) fn shapes(&self) -> &BTreeMap<Id, InUse> {
        &self.shapes
    }

    /// Records a request for `engine`.
    pub(crate) fn record_asked(&mut self, engine: Id) {
        if !self.asked.contains(&engine) {
            self.asked.push(engine);
        }
    }

    /// Engines to be validated once more.
    pub(crate) fn doubted(&self) -> &HashSet<Id> {
        &self.doubted
    }

    /// Records that `engine` is to be validated once more.
    pub(crate) fn record_doubted(&mut self, engine: Id) {
        self.doubted.insert(engine);
        self.record_asked(engine);
    }

    /// Records that `engine` was validated, or could not be.
    pub(crate) fn record_validated(&mut self, engine: &Id) {
        self.doubted.remove(engine);
    }

    /// Records a request for `engine` before all others, at once, even on a busy machine.
    pub(crate) fn record_urgent(&mut self, engine: Id) {
        self.asked.retain(|asked| *asked != engine);
        self.asked.insert(0, engine);
        self.urgent.insert(engine);
    }

    /// Records that a request for `engine` was met.
    pub(crate) fn record_served(&mut self, engine: &Id) {
        self.asked.retain(|asked| asked != engine);
        self.urgent.remove(engine);
    }

    /// Records the checkpoints selected in the web UI; returns whether they are different.
    pub(crate) fn record_use(&mut self, used: Vec<Id>) -> bool {
        let is_news = !self.recent.starts_with(&used);
        self.recent.retain(|weights| !used.contains(weights));
        self.recent.splice(0..0, used);
        is_news
    }

    /// A checkpoint has this weights id from now on.
    pub(crate) fn record_hashed(&mut self, before: &Id, weights: Id) {
        for used in self.recent.iter_mut().filter(|used| *used == before) {
            *used = weights;
        }
    }

    /// Records requested shapes, at a time in seconds since 1970; returns whether the first `limit` shapes
    /// have changed.
    pub(crate) fn record_shapes(
        &mut self,
        signature: Id,
        shapes: &[Shape],
        limit: usize,
        now: u64,
    ) -> bool {
        let in_use = self.shapes.entry(signature).or_default();
        let before = in_use.chosen(&[], limit);
        in_use.note(shapes, now);
        let is_news = in_use.chosen(&[], limit) != before;
        self.store.set_shapes(&signature, Some(in_use));
        for forgotten in forget_old(&mut self.shapes) {
            self.store.set_shapes(&forgotten, None);
        }
        is_news
    }

    /// Records a pause or its end. A pause makes earlier urgent requests ordinary ones.
    pub(crate) fn record_pause(&mut self, paused: Option<Paused>) {
        if paused.is_some() {
            self.urgent.clear();
        }
        self.paused = paused;
        self.store.set_paused(paused);
    }

    /// Ends a pause whose time is up; whether it did.
    pub(crate) fn end_pause(&mut self, now_s: u64) -> bool {
        let is_over =
            self.paused.is_some_and(|paused| paused.until_s.is_some_and(|end| end <= now_s));
        if is_over {
            self.record_pause(None);
        }
        is_over
    }
}
