use std::{cmp::Reverse, collections::HashMap};

use checkpoint::Id;

/// An engine that a checkpoint should have and has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The engine's key.
    pub engine: Id,
    /// Names of the presets that it will hold.
    pub presets: Vec<String>,
    /// A checkpoint that it is for.
    pub weights: Id,
    /// When that checkpoint's file last changed, in nanoseconds since 1970.
    pub newest_ns: i128,
    /// Why it is to be built, for people to read.
    pub why: String,
    /// Why it can't be built for now; it keeps its place, and the next one goes first.
    pub obstacle: Option<String>,
}

/// Puts what is wanted in the order of building, each engine once: what the user asked for, as
/// asked, then the checkpoints in `recent`, those used last first, then the newest ones.
pub fn plan(wants: impl IntoIterator<Item = Want>, asked: &[Id], recent: &[Id]) -> Vec<Want> {
    let turn = |ids: &[Id], id| ids.iter().position(|other| *other == id).unwrap_or(usize::MAX);
    let use_turn = |want: &Want| turn(recent, want.weights);
    let mut once: HashMap<Id, Want> = HashMap::new();
    for want in wants {
        // Among checkpoints that share the engine the one used last decides, then the newest, and of
        // two the same always.
        let rank = |want: &Want| (Reverse(use_turn(want)), want.newest_ns, want.weights);
        match once.get(&want.engine) {
            Some(known) if rank(known) >= rank(&want) => {}
            _ => {
                once.insert(want.engine, want);
            }
        }
    }
    let mut queue: Vec<Want> = once.into_values().collect();
    queue.sort_by_key(|want| {
        (turn(asked, want.engine), use_turn(want), Reverse(want.newest_ns), want.weights)
    });
    queue
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> Id {
        Id::from(blake3::hash(name.as_bytes()))
    }

    fn want(engine: &str, weights: &str, newest_ns: i128) -> Want {
        Want {
            engine: id(engine),
            presets: Vec::new(),
            weights: id(weights),
            newest_ns,
            why: String::new(),
            obstacle: None,
        }
    }

    #[test]
    fn what_was_asked_for_comes_first_then_what_is_used_then_the_newest() {
        let wants = [want("old", "a", 1), want("new", "b", 9), want("mid", "c", 5)];
        let order = |asked: &[Id], recent: &[Id]| -> Vec<Id> {
            plan(wants.clone(), asked, recent).into_iter().map(|want| want.engine).collect()
        };
        assert_eq!(order(&[], &[]), [id("new"), id("mid"), id("old")]);
        assert_eq!(order(&[id("old")], &[]), [id("old"), id("new"), id("mid")]);
        assert_eq!(order(&[id("mid"), id("old")], &[]), [id("mid"), id("old"), id("new")]);
        assert_eq!(order(&[id("gone")], &[id("gone")]), [id("new"), id("mid"), id("old")]);
        assert_eq!(order(&[], &[id("a"), id("c")]), [id("old"), id("mid"), id("new")]);
        assert_eq!(order(&[id("mid")], &[id("a")]), [id("mid"), id("old"), id("new")]);
    }

    #[test]
    fn an_engine_that_two_checkpoints_share_is_built_once() {
        let wants = [want("e", "a", 1), want("e", "b", 2), want("f", "c", 0)];
        let queue = |recent: &[Id]| plan(wants.clone(), &[], recent);
        assert_eq!(queue(&[]), [want("e", "b", 2), want("f", "c", 0)]);
        assert_eq!(queue(&[id("a")]), [want("e", "a", 1), want("f", "c", 0)]);
    }
}
