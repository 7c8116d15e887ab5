use std::{cmp::Reverse, collections::HashMap};

use checkpoint::Id;
use protocol::Shape;

use super::{Cause, Obstacle, ValidationCause};

/// What to do with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    /// Run it on a GPU for the first time, or for the first time with a driver.
    Validate,
    /// Build it.
    Build,
    /// Write a plan with a checkpoint's weights inside.
    Materialize,
}

/// How useful an engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// It serves a preset: whatever is requested.
    Open,
    /// It serves one shape, which is served without it too.
    Fixed,
    /// It is outdated.
    StandIn,
}

/// A job to do: build a desired engine that is missing, or validate one on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// The job's id: the engine's key for a build.
    pub job: Id,
    /// What to do.
    pub errand: Errand,
    /// The engine's key.
    pub engine: Id,
    /// The names of the engine's presets.
    pub presets: Vec<String>,
    /// The only shape that it serves, if one was requested.
    pub shape: Option<Shape>,
    /// How useful it is.
    pub step: Step,
    /// Its index among the checkpoint's desired engines.
    pub number: usize,
    /// A checkpoint that it is for.
    pub weights: Id,
    /// That checkpoint's UNet id.
    pub unet: Id,
    /// When that checkpoint's file last changed, in nanoseconds since 1970.
    pub newest_ns: i128,
    /// Why it is needed.
    pub why: Cause,
    /// What it needs from the machine.
    pub takes: Takes,
    /// Why it can't be done for now; it keeps its place, and the next one goes first.
    pub obstacle: Option<Obstacle>,
}

/// Where a job can run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the CPU, beside other jobs: it needs little.
    Aside,
    /// On any GPU or, without one, on the CPU: it needs much.
    #[default]
    Any,
    /// On a GPU of this model.
    Model(String),
}

/// What a job needs from the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takes {
    /// Where it can run.
    pub place: Place,
    /// Bytes of the GPU's memory, at least.
    pub gpu_bytes: u64,
    /// Bytes of the machine's memory, at most.
    pub memory_bytes: u64,
    /// Bytes on the engines' disk, at most.
    pub disk_bytes: u64,
}

impl Want {
    /// Describes the job.
    pub(crate) fn label(&self) -> String {
        self.shape.map_or_else(|| self.presets.join(", "), |shape| shape.to_string())
    }
}

/// Sorts jobs and removes duplicates: the user's requests in their order; then validations, which are short
/// and make existing engines usable; then builds; then validations that another machine has made already. Of all, open engines come first, then those for the
/// checkpoints in `recent` in that order, then for the newest ones.
pub(crate) fn in_order(
    wants: impl IntoIterator<Item = Want>,
    asked: &[Id],
    recent: &[Id],
) -> Vec<Want> {
    let turn = |ids: &[Id], id| ids.iter().position(|other| *other == id).unwrap_or(usize::MAX);
    let use_turn = |want: &Want| turn(recent, want.weights);
    let mut once: HashMap<Id, Want> = HashMap::new();
    for want in wants {
        // Among checkpoints that share an engine, the most recently used one decides, then the newest, and
        // otherwise always the same.
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
        let is_repeated = want.why == Cause::Validation(ValidationCause::Borrowed);
        (
            asked,
            is_repeated,
            want.errand,
            want.step,
            use_turn(want),
            newest,
            want.weights,
            want.number,
            want.job,
        )
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
    fn requests_come_first_then_what_is_used_then_the_newest() {
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
    fn validations_come_after_requests_and_before_builds() {
        let validation = |engine: &str, gpu: &str, weights: &str, newest_ns| {
            let job = id(&format!("{engine} on {gpu}"));
            Want { job, errand: Errand::Validate, ..want(engine, weights, newest_ns) }
        };
        let wants = [
            Want {
                why: Cause::Validation(ValidationCause::Borrowed),
                ..validation("elsewhere", "0", "c", 9)
            },
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
        let [built, late] = [(new, id("a")), (old, id("b"))];
        let again = (id("elsewhere on 0"), id("c"));
        assert_eq!(order(&[]), [validated[0], validated[1], built, late, again]);
        assert_eq!(order(&[old]), [late, validated[0], validated[1], built, again]);
    }
}
