//! How far checkpoints have come, and why.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use engine::Manifest;
use protocol::{Coming, State};

use crate::{
    inventory::{Content, Held, Outcome},
    planner::{Judgement, Place, Setback, Snapshot, Want},
};

/// Every path whose content is not known, or of no use, and why.
pub(crate) fn unread<'a>(
    snapshot: &Snapshot<'a>,
) -> impl Iterator<Item = (&'a Path, State, Option<&'a str>)> {
    let unread = snapshot.catalogue.files().filter_map(|file| {
        let (state, reason) = match &file.content {
            Content::Settling { .. } => (State::Settling, None),
            Content::Unread => (State::Identifying, Some("waits to be read")),
            Content::Reading => (State::Identifying, None),
            Content::Read(Outcome::Rejected(why) | Outcome::Unreadable(why)) => {
                (State::Rejected, Some(why.as_str()))
            }
            Content::Read(Outcome::Identified(_)) => return None,
        };
        Some(file.paths.iter().map(move |path| (&**path, state, reason)))
    });
    unread.flatten()
}

/// What the states of checkpoints follow from.
pub(crate) struct Outlook<'a> {
    pub(crate) snapshot: &'a Snapshot<'a>,
    /// Why there is nothing to build with.
    problem: Option<String>,
    turns: Turns<'a>,
}

impl<'a> Outlook<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot<'a>, queue: &'a [Want]) -> Self {
        let mut by_engine = Turns::new();
        for (turn, want) in turns(queue) {
            by_engine.entry(want.engine).or_insert((turn, want));
        }
        let problem = snapshot.target().as_ref().err().map(ToString::to_string);
        Self { snapshot, problem, turns: by_engine }
    }

    /// How far this checkpoint has come, and why: as far as the engine of its presets that is the least far.
    pub(crate) fn state(&self, held: &Held<'_>, has_engine: bool) -> (State, Option<String>) {
        if self.problem.is_some() {
            let state = if has_engine { State::Ready } else { State::Queued };
            return (state, self.problem.clone());
        }
        let desired = self.snapshot.desired(held);
        let open = desired.iter().filter(|desired| desired.is_open());
        let states = open.map(|desired| self.engine_state(held, &desired.engine));
        states.min_by_key(|(state, reason)| (order(*state), reason.is_none())).unwrap_or_else(
            || (State::Off, Some("a rule of the configuration wants no engine for it".to_owned())),
        )
    }

    /// How far an engine that it should have has come, and why.
    pub(crate) fn engine_state(&self, held: &Held<'_>, engine: &Id) -> (State, Option<String>) {
        let Self { snapshot, turns, .. } = self;
        if let Some(manifest) = snapshot.library.manifests().get(engine) {
            return published(snapshot, held, manifest, turns);
        }
        if snapshot.is_worked_on(engine) {
            return (State::Building, None);
        }
        let short = held.identity.ids.weights.short();
        match snapshot.setbacks.get(engine) {
            Some(Setback::Failed(why)) => (State::Failed, Some(why.clone())),
            Some(Setback::Removed) => (
                State::Off,
                Some(format!("its engine was removed; `sdtrtctl build {short}` builds it again")),
            ),
            None => (
                State::Queued,
                turns.get(engine).map(|(turn, want)| waits_for(snapshot, *turn, want)),
            ),
        }
    }

    /// What is still to come for this checkpoint, or will not come by itself.
    pub(crate) fn coming(&self, held: &Held<'_>) -> Vec<Coming> {
        let desired = self.snapshot.desired(held);
        let coming = desired.iter().filter_map(|desired| {
            let (state, reason) = self.engine_state(held, &desired.engine);
            (state != State::Ready).then(|| Coming {
                presets: desired.wanted.presets.clone(),
                fixed: desired.wanted.shape,
                state,
                reason,
            })
        });
        coming.collect()
    }
}

/// What is at work comes first, as it changes by itself, then what has come to its end.
fn order(state: State) -> u8 {
    match state {
        State::Building => 0,
        State::Queued => 1,
        State::Failed => 2,
        State::Off => 3,
        _ => 4,
    }
}

/// Of a checkpoint whose engine is there.
fn published(
    snapshot: &Snapshot<'_>,
    held: &Held<'_>,
    manifest: &Manifest,
    turns: &Turns<'_>,
) -> (State, Option<String>) {
    let engine = manifest.key;
    if snapshot.is_unvalidated(manifest) {
        let is_validated_now = snapshot.is_worked_on(&engine);
        let turn = turns.get(&engine).filter(|_| !is_validated_now);
        let wait = turn.map_or(String::new(), |(turn, want)| {
            format!("; {}", waits_for(snapshot, *turn, want))
        });
        let state = if is_validated_now { State::Building } else { State::Queued };
        return (state, Some(format!("to be validated on the GPU{wait}")));
    }
    let judged = snapshot.judgement(manifest, &held.identity.ids.unet);
    if let Some(wrong) = judged.filter(|judged| !judged.proof.holds()) {
        return (State::Failed, Some(disproof(&wrong)));
    }
    let unvalidated = snapshot.validation_failure(&engine).map(|(gpu, why)| {
        let short = held.identity.ids.weights.short();
        format!("not validated on {}: {why}; `sdtrtctl retry {short}` tries again", gpu.name)
    });
    (State::Ready, unvalidated)
}

/// The next jobs by engine, with how many can be done before them.
type Turns<'a> = HashMap<Id, (usize, &'a Want)>;

/// Each with how many of those done in the same slots can be done before it.
pub(crate) fn turns(queue: &[Want]) -> impl Iterator<Item = (usize, &Want)> {
    queue.iter().scan([0; 2], |next, want| {
        let next = &mut next[usize::from(want.takes.place == Place::Aside)];
        let turn = *next;
        *next += usize::from(want.obstacle.is_none());
        Some((turn, want))
    })
}

/// What a job waits for.
pub(crate) fn waits_for(snapshot: &Snapshot<'_>, turn: usize, want: &Want) -> String {
    if let Some(obstacle) = &want.obstacle {
        return obstacle.to_string();
    }
    match turn {
        0 => snapshot.awaited(want),
        turn => format!("{turn} more before it"),
    }
}

/// Why an engine is not used that was found to be wrong.
fn disproof(Judgement { proof, gpu }: &Judgement<'_>) -> String {
    let error = proof.relative_error.map_or("no number".to_owned(), |error| format!("{error:.1e}"));
    let expected = match gpu {
        Some(gpu) => format!("fp32 results on {}, and none is used", gpu.name),
        None => "PyTorch's results in the web UI, which uses none".to_owned(),
    };
    format!(
        "its engine was {error} off {expected} past {:.0e}: PyTorch computes instead",
        proof.bound
    )
}
