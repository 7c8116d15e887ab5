use std::{cmp::Reverse, collections::HashMap};

use checkpoint::Id;
use protocol::Shape;

use super::{Cause, Obstacle};

/// What is to be done with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    /// It is run on a GPU for the first time, or for the first time with a driver.
    Validate,
    /// It is built.
    Build,
    /// A plan with a checkpoint's weights inside is written.
    Materialize,
}

/// How soon an engine is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// It serves a preset: whatever is asked for.
    Open,
    /// It serves one shape, which is served without it too.
    Fixed,
    /// It is outdated.
    StandIn,
}

/// Something to do: an engine that a checkpoint should have and has not, or one that is there and was
/// not validated on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// What tells it from all else that is to do: of a build the engine's key.
    pub job: Id,
    /// What to do.
    pub errand: Errand,
    /// The engine's key.
    pub engine: Id,
    /// Names of the presets that it holds, or will.
    pub presets: Vec<String>,
    /// The only shape that it serves, where that was asked for.
    pub shape: Option<Shape>,
    /// How soon it is of use.
    pub step: Step,
    /// Its place among those that the checkpoint should have.
    pub number: usize,
    /// A checkpoint that it is for.
    pub weights: Id,
    /// That checkpoint's UNet.
    pub unet: Id,
    /// When that checkpoint's file last changed, in nanoseconds since 1970.
    pub newest_ns: i128,
    /// Why it is to be done.
    pub why: Cause,
    /// What it takes of the machine.
    pub takes: Takes,
    /// Why it can't be done for now; it keeps its place, and the next one goes first.
    pub obstacle: Option<Obstacle>,
}

/// Where a job can be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the CPU, beside whatever else is done: it takes little.
    Aside,
    /// Wherever there is a GPU or, without any, on the CPU: it takes much.
    #[default]
    Any,
    /// On a GPU of this model.
    Model(String),
}

/// What a job takes of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takes {
    /// Where it is done.
    pub place: Place,
    /// Bytes of that GPU's memory, at least.
    pub gpu_bytes: u64,
    /// Bytes of the machine's memory, at most.
    pub memory_bytes: u64,
    /// Bytes of the disk with the engines, at most.
    pub disk_bytes: u64,
}

impl Want {
    /// What it is of, for people to read.
    pub(crate) fn label(&self) -> String {
        self.shape.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}

/// Puts what is wanted in order, each job once: what the user asked for, as asked, then validations, which
/// take little time and have engines used that are there, then builds; of both first those that serve
/// presets, and of these those for the checkpoints in `recent`, those used last first, then for the newest
/// ones.
pub(crate) fn in_order(
    wants: impl IntoIterator<Item = Want>,
    asked: &[Id],
    recent: &[Id],
) -> Vec<Want> {
    let turn = |ids: &[Id], id| ids.iter().position(|other| *other == id).unwrap_or(usize::MAX);
    let use_turn = |want: &Want| turn(recent, want.weights);
    let mut once: HashMap<Id, Want> = HashMap::new();
    for want in wants {
        // Among checkpoints that share the engine the one used last decides, then the newest, and of
        // two the same always.
        let rank = |want: &Want| (Reverse(use_turn(want)), want.newest_ns, want.weights);
        match once.get(&want.job) {
            Some(known) if rank(known) >= rank(&want) => {}
            _ => {
                once.insert(want.job, want);
            }
        }
    }
    let mut queue: Vec<Want> = once.into_values().collect();
    queue.sort_by_key(|want| {
        let asked = turn(asked, want.engine);
        let newest = Reverse(want.newest_ns);
        (asked, want.errand, want.step, use_turn(want), newest, want.weights, want.number, want.job)
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
            job: id(engine),
            errand: Errand::Build,
            engine: id(engine),
            presets: Vec::new(),
            shape: None,
            step: Step::Open,
            number: 0,
            weights: id(weights),
            unet: id(weights),
            newest_ns,
            why: Cause::Missing,
            takes: Takes::default(),
            obstacle: None,
        }
    }

    #[test]
    fn what_was_asked_for_comes_first_then_what_is_used_then_the_newest() {
        let wants = [want("old", "a", 1), want("new", "b", 9), want("mid", "c", 5)];
        let order = |asked: &[Id], recent: &[Id]| -> Vec<Id> {
            in_order(wants.clone(), asked, recent).into_iter().map(|want| want.engine).collect()
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
        let queue = |recent: &[Id]| in_order(wants.clone(), &[], recent);
        assert_eq!(queue(&[]), [want("e", "b", 2), want("f", "c", 0)]);
        assert_eq!(queue(&[id("a")]), [want("e", "a", 1), want("f", "c", 0)]);
    }

    #[test]
    fn open_engines_come_before_fixed_ones_and_each_checkpoints_in_their_order() {
        let wanted = |engine: &str, weights: &str, newest, step, number| Want {
            step,
            number,
            ..want(engine, weights, newest)
        };
        let wants = [
            wanted("old fixed", "a", 1, Step::Fixed, 2),
            wanted("stand-in", "b", 9, Step::StandIn, 0),
            wanted("new fixed", "b", 9, Step::Fixed, 2),
            wanted("old open", "a", 1, Step::Open, 0),
            wanted("second", "b", 9, Step::Open, 1),
            wanted("first", "b", 9, Step::Open, 0),
        ];
        let queue: Vec<Id> =
            in_order(wants, &[], &[]).into_iter().map(|want| want.engine).collect();
        let expected = ["first", "second", "old open", "new fixed", "old fixed", "stand-in"];
        assert_eq!(queue, expected.map(id));
    }

    #[test]
    fn validations_come_before_builds_and_after_what_was_asked_for() {
        let validation = |engine: &str, gpu: &str, weights: &str, newest_ns| {
            let job = id(&format!("{engine} on {gpu}"));
            Want { job, errand: Errand::Validate, ..want(engine, weights, newest_ns) }
        };
        let wants = [
            want("new", "a", 9),
            want("old", "b", 1),
            validation("there", "0", "c", 5),
            validation("there", "1", "c", 5),
            validation("there", "0", "d", 6),
        ];
        let order = |asked: &[Id]| -> Vec<(Id, Id)> {
            let queue = in_order(wants.clone(), asked, &[]);
            queue.into_iter().map(|want| (want.job, want.weights)).collect()
        };
        let [new, old] = ["new", "old"].map(id);
        let validated = [(id("there on 0"), id("d")), (id("there on 1"), id("c"))];
        assert_eq!(order(&[]), [validated[0], validated[1], (new, id("a")), (old, id("b"))]);
        assert_eq!(order(&[old]), [(old, id("b")), validated[0], validated[1], (new, id("a"))]);
    }
}
