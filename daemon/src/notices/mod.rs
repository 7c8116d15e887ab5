//! What people are told of checkpoints without having asked: by hooks and on the desktop.

mod desktop;
mod herald;
mod hooks;
mod text;

use std::{collections::HashMap, sync::Arc};

use checkpoint::Id;
use protocol::State;

pub(crate) use herald::{Herald, Heralds};

/// A checkpoint that has become ready, or has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Where it lies.
    pub(crate) path: String,
    /// Ready or failed.
    pub(crate) state: State,
    /// Why, if there is a reason.
    pub(crate) reason: String,
}

/// Notices what changes, and has it told.
pub(crate) struct Notices {
    /// The states that were seen last; `None` until every file has been seen: what was so before is no news.
    seen: Option<HashMap<Id, State>>,
    /// Absent in tests.
    herald: Option<Arc<dyn Herald>>,
}

impl Notices {
    pub(crate) fn new(herald: Option<Arc<dyn Herald>>) -> Self {
        Self { seen: None, herald }
    }

    /// These are the states now, by weights id. Returns whatever is ready or has failed since they were seen last.
    pub(crate) fn record(&mut self, now: HashMap<Id, State>) -> Vec<Id> {
        let Some(before) = self.seen.replace(now) else { return Vec::new() };
        let changed = self.seen.iter().flatten().filter(|(weights, state)| {
            matches!(state, State::Ready | State::Failed) && before.get(weights) != Some(state)
        });
        changed.map(|(weights, _)| *weights).collect()
    }

    /// A checkpoint has this weights id from now on.
    pub(crate) fn record_hashed(&mut self, before: &Id, weights: Id) {
        if let Some(seen) = &mut self.seen
            && let Some(state) = seen.remove(before)
        {
            seen.entry(weights).or_insert(state);
        }
    }

    /// Has these told, as the configuration says.
    pub(crate) fn tell(&self, notices: Vec<Notice>, config: &config::Config) {
        if let Some(herald) = self.herald.as_ref().filter(|_| !notices.is_empty()) {
            herald.tell(notices, config);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        Id::from(blake3::hash(name.as_bytes()))
    }

    fn states(of: &[(&str, State)]) -> HashMap<Id, State> {
        of.iter().map(|(name, state)| (id(name), *state)).collect()
    }

    #[test]
    fn what_is_news() {
        use State::{Building, Failed, Queued, Ready, Rejected};
        for (what, before, now, news) in [
            ("it was built", vec![("a", Building)], vec![("a", Ready)], vec!["a"]),
            ("it is new and can be used at once", vec![], vec![("a", Ready)], vec!["a"]),
            ("it was so before", vec![("a", Ready)], vec![("a", Ready)], vec![]),
            ("it waits", vec![("a", Ready)], vec![("a", Queued)], vec![]),
            ("it failed", vec![("a", Building)], vec![("a", Failed)], vec!["a"]),
            ("it still fails", vec![("a", Failed)], vec![("a", Failed)], vec![]),
            ("it is no checkpoint", vec![], vec![("a", Rejected)], vec![]),
            ("it is gone", vec![("a", Ready)], vec![], vec![]),
        ] {
            let mut notices = Notices::new(None);
            assert_eq!(notices.record(states(&before)), [], "{what}: at first");
            let news: Vec<_> = news.into_iter().map(id).collect();
            assert_eq!(notices.record(states(&now)), news, "{what}");
        }
    }

    #[test]
    fn a_file_whose_content_is_known_now_is_no_news() {
        let mut notices = Notices::new(None);
        notices.record(states(&[("placeholder", State::Ready)]));
        notices.record_hashed(&id("placeholder"), id("a"));
        assert_eq!(notices.record(states(&[("a", State::Ready)])), []);
    }
}
