//! Why jobs may not start, in words.

use std::fmt;

use checkpoint::Id;
use config::{BuildHours, BuildWhen};

use super::{NoRuntime, Obstacle, Place, Slot, Snapshot, Want};
use crate::{
    clock,
    gate::{Decision, GateReason, is_titled},
    inventory::Held,
};

/// A pause that somebody has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paused {
    /// When it ends by itself, in seconds since 1970.
    pub until_s: Option<u64>,
}

/// Why builds may not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed<'a> {
    Paused(Paused),
    /// It is not the time for it.
    Hours(BuildHours),
    /// The machine draws from a battery.
    Battery,
    /// `build = "never"`.
    Never,
    Busy(&'a GateReason),
}

impl Closed<'_> {
    /// Whether only somebody's request ends it.
    fn is_for_good(self) -> bool {
        matches!(self, Self::Paused(Paused { until_s: None }) | Self::Never)
    }

    /// Whether it is about jobs, and not about what the machine does.
    pub(crate) fn is_wanted(self) -> bool {
        !matches!(self, Self::Busy(_))
    }

    /// Returns what a checkpoint waits for.
    pub(crate) fn awaited(self) -> String {
        match self {
            Self::Paused(Paused { until_s: None }) => "waits for `sdtrtctl resume`".to_owned(),
            Self::Paused(Paused { until_s: Some(until) }) => {
                format!("waits until {}, when the pause ends", clock::shown(until))
            }
            Self::Hours(hours) => format!("waits for {hours}, as `build_hours` says"),
            Self::Battery => "waits until the machine is plugged in".to_owned(),
            Self::Never => "waits for `sdtrtctl build`, as `build` is \"never\"".to_owned(),
            Self::Busy(reason) => reason.awaited(),
        }
    }
}

impl fmt::Display for Closed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused(Paused { until_s: None }) => {
                f.write_str("paused; `sdtrtctl resume` continues")
            }
            Self::Paused(Paused { until_s: Some(until) }) => {
                write!(f, "paused until {}; `sdtrtctl resume` continues", clock::shown(*until))
            }
            Self::Hours(hours) => write!(
                f,
                "`build_hours` is {hours}; `sdtrtctl build REF --now` does not wait for it"
            ),
            Self::Battery => f.write_str(
                "the machine draws from a battery; `sdtrtctl build REF --now` builds all the same",
            ),
            Self::Never => f.write_str("`build` is \"never\"; `sdtrtctl build REF` builds one"),
            Self::Busy(reason) => reason.fmt(f),
        }
    }
}

impl Snapshot<'_> {
    /// Returns why nothing in `queue` may start, if it is the same for all jobs; a pause always is.
    pub(crate) fn closed(&self, queue: &[Want]) -> Option<Closed<'_>> {
        if let Some(paused) = self.paused {
            return Some(Closed::Paused(paused));
        }
        let is_free = |want: &Want| {
            let mut slots = self.slots(&want.takes.place);
            slots.any(|slot| self.closed_to(slot, &want.engine).is_none())
        };
        let first = queue.first().filter(|_| !queue.iter().any(is_free))?;
        let slot = self.slots(&first.takes.place).next()?;
        self.closed_to(slot, &first.engine)
    }

    /// Returns why a job with this engine may not start in this slot, if so.
    pub(crate) fn closed_to(&self, slot: Slot, engine: &Id) -> Option<Closed<'_>> {
        if self.urgent.contains(engine) {
            return None;
        }
        match self.closed_at(slot) {
            Some(closed @ Closed::Paused(_)) => Some(closed),
            _ if self.is_off(engine) => Some(Closed::Never),
            closed => closed,
        }
    }

    /// Whether something will begin or end at a time of the day.
    pub(crate) fn waits_for_a_time(&self, queue: &[Want]) -> bool {
        let ends = self.paused.is_some_and(|paused| paused.until_s.is_some());
        ends || self.config.build_hours.is_some() && !queue.is_empty()
    }

    /// Whether nothing is done with this engine because it was not requested.
    pub(crate) fn is_off(&self, engine: &Id) -> bool {
        self.config.build == BuildWhen::Never && !self.asked.contains(engine)
    }

    /// Returns why no job may start at all, whatever the machine does.
    pub(crate) fn held_up(&self) -> Option<Closed<'_>> {
        let hours = self.config.build_hours.filter(|hours| !hours.contain(self.minute));
        let paused = self.paused.map(Closed::Paused);
        paused.or(hours.map(Closed::Hours)).or(self.is_drawing().then_some(Closed::Battery))
    }

    /// Whether jobs wait until the machine no longer draws from a battery.
    pub(crate) fn is_drawing(&self) -> bool {
        self.draws && !self.config.on_battery
    }

    /// Returns why no job may start in this slot, if so.
    pub(crate) fn closed_at(&self, slot: Slot) -> Option<Closed<'_>> {
        let held_up = self.held_up();
        let Slot::Device(number) = slot else { return held_up };
        match self.decisions.get(number) {
            _ if held_up.is_some() => held_up,
            _ if self.config.build == BuildWhen::Always => None,
            None | Some(Decision::Start) => None,
            Some(Decision::Wait(reason) | Decision::Stop(reason)) => Some(Closed::Busy(reason)),
        }
    }

    /// Whether the use of the GPUs or the CPU decides when this is done: not if it lacks something else.
    pub(crate) fn needs_a_look(&self, want: &Want) -> bool {
        let lacks = want.obstacle.as_ref().is_some_and(|obstacle| !obstacle.is_of_memory());
        !lacks && !self.is_off(&want.engine) && want.takes.place != Place::Aside
    }

    /// Whether a job that needs no GPU waits for memory.
    pub(crate) fn is_crowded(&self, queue: &[Want]) -> bool {
        let waits = |want: &Want| matches!(want.obstacle, Some(Obstacle::Memory { .. }));
        queue.iter().any(|want| waits(want) && !self.needs_a_look(want))
    }

    /// Returns what each closed slot waits for.
    pub(crate) fn all_awaited(&self) -> Vec<Option<String>> {
        let closed = self.devices().map(|slot| self.closed_at(slot));
        closed.map(|closed| closed.map(Closed::awaited)).collect()
    }

    /// Returns the checkpoints with this title in the web UI.
    pub(crate) fn titled(&self, title: &str) -> Vec<Id> {
        let held = self.catalogue.held();
        let is_it = |held: &Held<'_>| {
            self.names(held).iter().any(|path| is_titled(&path.to_string_lossy(), title))
        };
        let titled = held.iter().filter(|(_, held)| is_it(held));
        let mut titled: Vec<Id> = titled.map(|(weights, _)| *weights).collect();
        titled.sort_unstable();
        titled
    }

    /// Returns why nothing in `queue` will ever be done, if so.
    pub(crate) fn stuck(&self, queue: &[Want]) -> Option<String> {
        match (self.target(), self.closed(queue)) {
            (Err(NoRuntime::Sought), _) => None,
            (Err(problem), _) => Some(problem.to_string()),
            (Ok(_), Some(closed)) if closed.is_for_good() && self.urgent.is_empty() => {
                Some(closed.to_string())
            }
            (Ok(_), _) => self.no_room(queue),
        }
    }

    /// Returns why nothing is built although `queue` is not empty, if space is the reason.
    pub(crate) fn no_room(&self, queue: &[Want]) -> Option<String> {
        let is_idle = self.work.is_empty() && self.surveyed;
        let first = queue.first().filter(|_| is_idle)?;
        let waits = |want: &Want| want.obstacle.as_ref().is_some_and(Obstacle::is_lasting);
        let obstacle = first.obstacle.as_ref().filter(|_| queue.iter().all(waits));
        obstacle.map(ToString::to_string)
    }
}
