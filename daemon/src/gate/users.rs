//! How much of a GPU other programs use.

use protocol::{GpuProcess, GpuReading};

/// NVIDIA's P-states from this one on are idle states: clocks are so low that a quiet desktop or a video can
/// show as 30 % and more. Work raises the clocks within a second. Data-centre GPUs stay in state 0.
const RESTING: u32 = 8;

/// Others' use of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// This percentage of the time.
    Percent(u32),
    /// Another process computes on it, but how much is unknown.
    Some,
    /// Nothing that matters.
    Nothing,
    /// Unknown.
    Unknown,
}

/// Returns others' use of this GPU, as far as it is known.
///
/// Without its utilisation (as with MIG) another process that computes there counts as use, and
/// without processes too nothing is known. While our own worker is on the GPU the utilisation is both
/// of it and of others; then that of each process decides, and where that is not supported there is no
/// way to tell others from ourselves, so they don't count. That it is there its process says, or, where no
/// process at all is named, `are_we_there`.
pub(crate) fn others(reading: &GpuReading, are_we_there: bool) -> Use {
    if reading.performance_state.is_some_and(|state| state >= RESTING) {
        return Use::Nothing;
    }
    let utilisation = reading.plausible_utilisation();
    let Some(processes) = &reading.processes else {
        let percent = utilisation.map_or(Use::Unknown, Use::Percent);
        return if are_we_there { Use::Nothing } else { percent };
    };
    let is_alone = others_of(processes).next().is_none();
    let are_we_there = are_we_there && is_alone || processes.iter().any(|process| process.ours);
    match utilisation {
        Some(percent) if !are_we_there => Use::Percent(percent),
        None if others_of(processes).any(|process| process.compute) => Use::Some,
        None => Use::Nothing,
        Some(_) => {
            let uses: Option<Vec<u32>> =
                others_of(processes).map(|process| process.utilisation).collect();
            uses.map_or(Use::Nothing, |uses| Use::Percent(uses.iter().sum::<u32>().min(100)))
        }
    }
}

/// Returns the names of the processes that use it: those that were seen running, or else those that compute.
pub(crate) fn names(reading: &GpuReading) -> Vec<String> {
    let processes = reading.processes.as_deref().unwrap_or_default();
    let runs = |process: &&GpuProcess| process.utilisation.is_some_and(|percent| percent > 0);
    let mut users: Vec<&GpuProcess> = others_of(processes).filter(runs).collect();
    if users.is_empty() {
        users = others_of(processes).filter(|process| process.compute).collect();
    }
    users.into_iter().map(name).collect()
}

/// Whether another process may compute on it.
pub(crate) fn may_be_there(reading: &GpuReading) -> bool {
    reading.processes.is_none() || !computing(reading).is_empty()
}

/// Returns the other processes that compute on it.
pub(crate) fn computing(reading: &GpuReading) -> Vec<String> {
    let processes = reading.processes.as_deref().unwrap_or_default();
    others_of(processes).filter(|process| process.compute).map(name).collect()
}

fn others_of(processes: &[GpuProcess]) -> impl Iterator<Item = &GpuProcess> {
    processes.iter().filter(|process| !process.ours)
}

fn name(process: &GpuProcess) -> String {
    match &process.name {
        Some(name) => format!("{name} (pid {})", process.pid),
        None => format!("process {}", process.pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_figures_are_replaced_by_others() {
        let ours = |utilisation| GpuProcess { pid: 1, ours: true, utilisation, ..other(None) };
        let drawing = GpuProcess { compute: false, ..other(None) };
        let reading = |utilisation, processes: Option<&[GpuProcess]>| GpuReading {
            utilisation,
            processes: processes.map(<[_]>::to_vec),
            ..GpuReading::default()
        };
        let table = [
            (reading(Some(40), None), Use::Percent(40)),
            (reading(Some(40), Some(&[])), Use::Percent(40)),
            (reading(Some(40), Some(&[other(Some(3))])), Use::Percent(40)),
            (reading(Some(99), Some(&[other(Some(3)), ours(Some(96))])), Use::Percent(3)),
            (reading(Some(99), Some(&[other(None), ours(None)])), Use::Nothing),
            (reading(None, Some(&[other(None)])), Use::Some),
            (reading(None, Some(&[drawing, ours(None)])), Use::Nothing),
            (reading(None, Some(&[])), Use::Nothing),
            (reading(None, None), Use::Unknown),
            (reading(Some(u32::MAX), None), Use::Unknown),
            (reading(Some(101), Some(&[])), Use::Nothing),
        ];
        for (reading, expected) in table {
            assert_eq!(others(&reading, false), expected, "{reading:?}");
            let resting = GpuReading { performance_state: Some(8), ..reading.clone() };
            assert_eq!(others(&resting, false), Use::Nothing);
            let at_work = GpuReading { performance_state: Some(2), ..reading };
            assert_eq!(others(&at_work, false), expected);
        }
    }

    #[test]
    fn what_a_gpu_does_while_our_job_is_there_is_ours_unless_another_is_seen() {
        let reading = |processes: Option<&[GpuProcess]>| GpuReading {
            utilisation: Some(99),
            processes: processes.map(<[_]>::to_vec),
            ..GpuReading::default()
        };
        for (processes, expected) in [
            (None, Use::Nothing),
            (Some(&[] as &[_]), Use::Percent(0)),
            (Some(&[other(Some(40))]), Use::Percent(99)),
            (Some(&[other(None)]), Use::Percent(99)),
        ] {
            assert_eq!(others(&reading(processes), true), expected, "{processes:?}");
        }
    }

    fn other(utilisation: Option<u32>) -> GpuProcess {
        GpuProcess { pid: 2, compute: true, utilisation, ..GpuProcess::default() }
    }
}
