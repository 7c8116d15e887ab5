//! The states of checkpoints and engines, and the reasons.

use std::{collections::HashMap, path::Path};

use checkpoint::Id;
use engine::Manifest;
use protocol::{Coming, State};

use super::reason::Reason;
use crate::{
    inventory::{Content, Held, Outcome},
    planner::{NoRuntime, Place, Setback, Snapshot, Wait, Want},
};

/// Returns every path whose content is unknown or not a checkpoint, and why.
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
    /// Why nothing can be built.
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

    /// Returns this checkpoint's state and its reason: those of its preset engine that is furthest from being
    /// ready.
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

    /// Returns the state of an engine that it should have, and the reason.
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

    /// Returns the checkpoint's engines that are still to come, or that need the user.
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

/// Jobs in progress come first, because they change by themselves; then what is finished.
fn order(state: State) -> u8 {
    match state {
        State::Building => 0,
        State::Queued => 1,
        State::Failed => 2,
        State::Off => 3,
        _ => 4,
    }
}

/// The state of a checkpoint whose engine is published.
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

/// The next job of each engine, with the number of jobs that may be done before it.
type Turns<'a> = HashMap<Id, (usize, &'a Want)>;

/// Returns each job with the number of those in the same slots that may be done before it.
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
