//! Finds our own worker among a GPU's processes if their ids are of another namespace: in a container the
//! driver may report the host's.

use std::collections::BTreeSet;

use protocol::GpuReading;

/// The processes on one GPU whose ids are unknown here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strangers {
    /// Those from before our job.
    before: BTreeSet<u32>,
    /// The one that appeared with our job.
    ours: Option<u32>,
}

impl Strangers {
    /// Marks the process that appeared with our job as ours, if none is recognized by its id: its id belongs
    /// to no process here.
    pub(crate) fn recognise(&mut self, reading: &mut GpuReading, are_we_there: bool) {
        let Some(processes) = &mut reading.processes else { return };
        if !are_we_there {
            *self =
                Self { before: processes.iter().map(|process| process.pid).collect(), ours: None };
            return;
        }
        if processes.iter().any(|process| process.ours) {
            self.ours = None;
            return;
        }
        self.ours.take_if(|pid| !processes.iter().any(|process| process.pid == *pid));
        let came = |pid: u32| !self.before.contains(&pid);
        let known = self.ours;
        let ours = processes.iter_mut().find(|process| match known {
            Some(pid) => process.pid == pid,
            None => process.name.is_none() && came(process.pid),
        });
        self.ours = ours.map(|process| {
            process.ours = true;
            process.pid
        });
    }
}

#[cfg(test)]
mod tests {
    use protocol::GpuProcess;

    use super::*;

    #[test]
    fn who_came_with_our_job_under_an_id_of_the_hosts_is_our_worker() {
        type Step<'a> = (&'a str, bool, &'a [(u32, bool)], Option<u32>);
        let steps: [Step<'_>; 9] = [
            ("a neighbour in another container", false, &[(70_001, false)], None),
            ("our job begins", true, &[(70_001, false)], None),
            ("its worker is there", true, &[(70_001, false), (70_500, false)], Some(70_500)),
            (
                "another comes",
                true,
                &[(70_001, false), (70_400, false), (70_500, false)],
                Some(70_500),
            ),
            ("our worker is between two of its steps", true, &[(70_001, false)], None),
            ("our job is over", false, &[(70_001, false), (70_400, false)], None),
            ("the next one begins", true, &[(70_001, false), (70_400, false)], None),
            ("a process of this namespace comes", true, &[(70_001, false), (12, true)], None),
            ("its worker is there", true, &[(12, true), (70_600, false)], Some(70_600)),
        ];
        let mut strangers = Strangers::default();
        for (what, are_we_there, listed, expected) in steps {
            let process = |(pid, has_name): &(u32, bool)| GpuProcess {
                pid: *pid,
                name: has_name.then(|| "game".to_owned()),
                ..GpuProcess::default()
            };
            let processes = Some(listed.iter().map(process).collect());
            let mut reading = GpuReading { processes, ..GpuReading::default() };
            strangers.recognise(&mut reading, are_we_there);
            let mut ours = reading.processes.iter().flatten().filter(|process| process.ours);
            assert_eq!(ours.next().map(|process| process.pid), expected, "{what}");
            assert!(ours.next().is_none(), "{what}");
        }
    }

    #[test]
    fn a_worker_that_is_known_by_its_id_is_the_only_one() {
        let mut strangers = Strangers::default();
        let hidden = GpuProcess { pid: 70_000, ..GpuProcess::default() };
        let ours = GpuProcess { pid: 12, ours: true, ..GpuProcess::default() };
        let mut reading =
            GpuReading { processes: Some(vec![hidden, ours]), ..GpuReading::default() };
        strangers.recognise(&mut reading, true);
        assert!(!reading.processes.unwrap()[0].ours);
    }
}
