//! What each checkpoint should have, worked out once: with thousands of them it takes a second.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use checkpoint::Id;

use crate::{
    build::{Target, Wanted},
    schedule::Held,
};

/// An engine that a checkpoint should have, and its key.
#[derive(Debug)]
pub(super) struct Wanting {
    pub(super) engine: Id,
    pub(super) wanted: Wanted,
}

/// Answers of one target, by checkpoint. They hold as long as they are asked for in the same way.
#[derive(Debug, Default)]
pub(super) struct Memo(RefCell<HashMap<Id, Answer>>);

#[derive(Debug)]
struct Answer {
    paths: Vec<PathBuf>,
    can_be_shared: bool,
    wanting: Option<Arc<Wanting>>,
}

impl Memo {
    /// What `target` says of this checkpoint; `None` if rules want no engine for it.
    pub(super) fn ask(
        &self,
        target: &Target,
        held: &Held<'_>,
        can_be_shared: bool,
    ) -> Option<Arc<Wanting>> {
        let mut answers = self.0.borrow_mut();
        let weights = held.identity.ids.weights;
        if let Some(known) = answers.get(&weights)
            && known.can_be_shared == can_be_shared
            && known.paths.iter().map(PathBuf::as_path).eq(held.paths.iter().copied())
        {
            return known.wanting.clone();
        }
        let wanted = target.engine(held.identity, &held.paths, can_be_shared);
        let wanting = wanted.map(|wanted| Arc::new(Wanting { engine: wanted.spec.key(), wanted }));
        let paths = held.paths.iter().copied().map(Path::to_owned).collect();
        answers.insert(weights, Answer { paths, can_be_shared, wanting: wanting.clone() });
        wanting
    }

    /// Forgets all answers but those about the checkpoints in `held`.
    pub(super) fn keep(&self, held: &HashMap<Id, Held<'_>>) {
        let mut answers = self.0.borrow_mut();
        if answers.len() > held.len() {
            answers.retain(|weights, _| held.contains_key(weights));
        }
    }
}
