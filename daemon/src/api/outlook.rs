//! How far checkpoints have come, and why.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use engine::Manifest;
use protocol::{Coming, State};

use super::reason::Reason;
use crate::{
    inventory::{Content, Held, Outcome},
    planner::{NoRuntime, Place, Setback, Snapshot, Wait, Want},
};

/// Every path whose content is not known, or of no use, and why.
pub(crate) fn unread<'a>(
    snapshot: &Snapshot<'a>,
) -> impl Iterator<Item = (&'a Path, State, Option<Reason<'a>>)> {
    let unread = snapshot.catalogue.files().filter_map(|file| {
        let (state, reason) = match &file.content {
            Content::Settling { waits, .. } => {
                (State::Settling, waits.as_ref().map(Reason::Settling))
            }
            Content::Unread => (State::Identifying, Some(Reason::Unread)),
            Content::Reading => (State::Identifying, None),
            Content::Read(Outcome::Rejected(why) | Outcome::Unreadable(why)) => {
                (State::Rejected, Some(Reason::Rejected(why)))
            }
            Content::Read(Outcome::Identified(_)) => return None,
        };
        Some(file.paths.iter().map(move |path| (&**path, state, reason.clone())))
    });
    unread.flatten()
}

/// What the states of checkpoints follow from.
pub(crate) struct Outlook<'a> {
    pub(crate) snapshot: &'a Snapshot<'a>,
    /// Why there is nothing to build with.
    problem: Option<&'a NoRuntime>,
    turns: Turns<'a>,
}

impl<'a> Outlook<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot<'a>, queue: &'a [Want]) -> Self {
        let mut by_engine = Turns::new();
        for (turn, want) in turns(queue) {
            by_engine.entry(want.engine).or_insert((turn, want));
        }
        let problem = snapshot.target().as_ref().err();
        Self { snapshot, problem, turns: by_engine }
    }

    /// How far this checkpoint has come, and why: as far as the engine of its presets that is the least far.
    pub(crate) fn state(&self, held: &Held<'_>, has_engine: bool) -> (State, Option<Reason<'a>>) {
        if let Some(problem) = self.problem {
            let state = if has_engine { State::Ready } else { State::Queued };
            return (state, Some(Reason::NoRuntime(problem)));
        }
        let desired = self.snapshot.desired(held);
        let open = desired.iter().filter(|desired| desired.is_open());
        let states = open.map(|desired| self.engine_state(held, &desired.engine));
        let least = states.min_by_key(|(state, reason)| (order(*state), reason.is_none()));
        least.unwrap_or((State::Off, Some(Reason::NotWanted)))
    }

    /// How far an engine that it should have has come, and why.
    pub(crate) fn engine_state(&self, held: &Held<'_>, engine: &Id) -> (State, Option<Reason<'a>>) {
        let Self { snapshot, turns, .. } = self;
        if let Some(manifest) = snapshot.library.manifests().get(engine) {
            return published(snapshot, held, manifest, turns);
        }
        if snapshot.is_worked_on(engine) {
            return (State::Building, None);
        }
        match snapshot.setbacks.get(engine) {
            Some(Setback::Failed(why)) => (State::Failed, Some(Reason::Failed(why))),
            Some(Setback::Removed) => {
                let key = snapshot.key(&held.identity.ids.weights);
                (State::Off, Some(Reason::Removed(key)))
            }
            None => (
                State::Queued,
                turns
                    .get(engine)
                    .map(|(turn, want)| Reason::Waits(waits_for(snapshot, *turn, want))),
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
                reason: reason.map(|why| why.to_string()),
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
fn published<'a>(
    snapshot: &'a Snapshot<'a>,
    held: &Held<'_>,
    manifest: &'a Manifest,
    turns: &Turns<'a>,
) -> (State, Option<Reason<'a>>) {
    let engine = manifest.key;
    if snapshot.is_unvalidated(manifest) {
        let is_validated_now = snapshot.is_worked_on(&engine);
        let turn = turns.get(&engine).filter(|_| !is_validated_now);
        let wait = turn.map(|(turn, want)| waits_for(snapshot, *turn, want));
        let state = if is_validated_now { State::Building } else { State::Queued };
        return (state, Some(Reason::Unvalidated(wait)));
    }
    let judged = snapshot.judgement(manifest, &held.identity.ids.unet);
    if let Some(wrong) = judged.filter(|judged| !judged.proof.holds()) {
        return (State::Failed, Some(Reason::Wrong(wrong)));
    }
    let failure = snapshot.validation_failure(&engine);
    let key = || snapshot.key(&held.identity.ids.weights);
    let unvalidated = failure.map(|(gpu, why)| Reason::ValidationFailed(key(), gpu, why));
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
pub(crate) fn waits_for<'a>(snapshot: &'a Snapshot<'_>, turn: usize, want: &'a Want) -> Wait<'a> {
    if let Some(obstacle) = &want.obstacle {
        return Wait::Obstacle(obstacle);
    }
    match turn {
        0 => snapshot.awaited(want),
        turn => Wait::Turn(turn),
    }
}
