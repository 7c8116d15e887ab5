//! A worker's progress.

use protocol::{Building, Task};

/// A phase's name and its share of the time, in percent.
type Share = (&'static str, f64);

/// As measured for SD 1.5, a build on two cores, the rest on a GPU that no kernels were compiled for yet.
fn shares(task: Task) -> &'static [Share] {
    match task {
        Task::Build | Task::Materialize => {
            &[("graph", 1.0), ("parse", 12.0), ("build", 78.0), ("write", 7.0), ("publish", 2.0)]
        }
        Task::Validate => &[("load", 50.0), ("prove", 11.0), ("warm", 39.0)],
    }
}

/// With less than this done, there is no estimate.
const TOO_SOON: f64 = 0.05;

/// Estimated remaining seconds, `elapsed_s` after the start, from what is done so far.
pub(crate) fn left_s(building: &Building, elapsed_s: f64) -> Option<u64> {
    let done = done(building)?;
    // More than a day is no forecast.
    let left = elapsed_s * (1.0 - done) / done;
    (done >= TOO_SOON && left < 86_400.0).then_some(left.round() as u64)
}

/// The part that is done, from 0 to 1.
pub(crate) fn done(building: &Building) -> Option<f64> {
    let shares = shares(building.task);
    let phase = shares.iter().position(|(name, _)| *name == building.phase)?;
    let before: f64 = shares[..phase].iter().map(|(_, share)| share).sum();
    Some((before + shares[phase].1 * f64::from(building.percent.min(100)) / 100.0) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn time_left_follows_from_what_is_done() {
        let at =
            |phase: &str, percent| Building { phase: phase.into(), percent, ..samples::building() };
        let validated = |phase: &str| Building { task: Task::Validate, ..at(phase, 0) };
        for (building, elapsed, expected) in [
            (validated("prove"), 21.0, Some(21)),
            (validated("write"), 21.0, None),
            (at("graph", 50), 1.0, None),
            (at("build", 50), 52.0, Some(48)),
            (at("publish", 100), 60.0, Some(0)),
            (at("write", 0), 91.0, Some(9)),
            (at("dance", 50), 91.0, None),
        ] {
            assert_eq!(left_s(&building, elapsed), expected, "{building:?}");
        }
    }
}
