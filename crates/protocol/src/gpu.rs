use serde::{Deserialize, Serialize};

/// A GPU's use. Values that its driver doesn't support are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuReading {
    /// Percent of the driver's last sample period (up to a second) in which something ran. Some drivers report more
    /// than 100; such a figure means nothing.
    pub utilisation: Option<u32>,
    /// NVIDIA's P-state: 0 is full speed, 8 and above are idle states.
    pub performance_state: Option<u32>,
    /// Free memory, in bytes.
    pub memory_free: Option<u64>,
    /// Total memory, in bytes.
    pub memory_total: Option<u64>,
    /// The processes that use it.
    pub processes: Option<Vec<GpuProcess>>,
    /// Why this GPU can't be used, though others can: it has fallen off the bus, say.
    pub lost: Option<String>,
}

impl GpuReading {
    /// [`Self::utilisation`], if it is a figure that can be: 0 to 100.
    pub fn plausible_utilisation(&self) -> Option<u32> {
        self.utilisation.filter(|percent| *percent <= 100)
    }

    /// Percent that it reports although nobody but sdtrtd is on it as far as it tells, and hardly anything in its
    /// memory: some drivers do so for good.
    pub fn used_by_nobody(&self) -> Option<u32> {
        let percent = self.plausible_utilisation()?;
        let others = self.processes.iter().flatten().filter(|process| !process.ours);
        if others.into_iter().any(|process| process.utilisation != Some(0)) {
            return None;
        }
        let memory = self.memory_free.zip(self.memory_total);
        let is_empty = memory.map(|(free, total)| free > total / 2);
        // A GPU that never names a process may well have one.
        let is_nobody = is_empty.unwrap_or(self.processes.is_some());
        is_nobody.then_some(percent)
    }
}

/// A process that uses a GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GpuProcess {
    /// Process id.
    pub pid: u32,
    /// Its program's name; absent if the process is hidden from sdtrtd.
    pub name: Option<String>,
    /// Whether it computes or only draws.
    pub compute: bool,
    /// Whether it is sdtrtd's own worker.
    pub ours: bool,
    /// GPU memory that it uses, in bytes.
    pub memory: Option<u64>,
    /// Percent of the driver's last sample period in which it ran.
    pub utilisation: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_by_nobody_where_no_process_and_no_memory_speaks_for_one() {
        let reading = |processes: Option<&[GpuProcess]>, free| GpuReading {
            utilisation: Some(100),
            processes: processes.map(<[_]>::to_vec),
            memory_free: free,
            memory_total: Some(10),
            ..GpuReading::default()
        };
        for (reading, expected) in [
            (reading(Some(&[]), None), Some(100)),
            (reading(Some(&[]), Some(9)), Some(100)),
            (reading(Some(&[other(Some(0))]), Some(9)), Some(100)),
            (reading(None, Some(9)), Some(100)),
            (reading(None, None), None),
            (reading(Some(&[]), Some(2)), None),
            (reading(Some(&[other(None)]), Some(9)), None),
            (reading(Some(&[other(Some(1))]), Some(9)), None),
        ] {
            assert_eq!(reading.used_by_nobody(), expected, "{reading:?}");
        }
    }

    fn other(utilisation: Option<u32>) -> GpuProcess {
        GpuProcess { pid: 2, compute: true, utilisation, ..GpuProcess::default() }
    }

    #[test]
    fn more_than_all_means_nothing() {
        for (utilisation, expected) in
            [(Some(100), Some(100)), (Some(101), None), (Some(u32::MAX), None)]
        {
            let reading = GpuReading { utilisation, ..GpuReading::default() };
            assert_eq!(reading.plausible_utilisation(), expected);
        }
    }
}
