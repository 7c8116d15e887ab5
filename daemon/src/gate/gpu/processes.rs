//! The processes that use a GPU, according to NVML.

use std::{
    collections::{BTreeMap, HashMap},
    process,
};

use nvml_wrapper::{
    Device,
    enums::device::UsedGpuMemory,
    error::NvmlError,
    struct_wrappers::device::{ProcessInfo, ProcessUtilizationSample},
};
use procfs::process::Process;
use protocol::GpuProcess;

use super::driver::told;

pub(super) fn processes(
    device: &Device<'_>,
    newest_sample: &mut u64,
) -> Result<Option<Vec<GpuProcess>>, NvmlError> {
    let Some(computing) = told(device.running_compute_processes())? else { return Ok(None) };
    let drawing = told(device.running_graphics_processes())?.unwrap_or_default();
    let mut processes: BTreeMap<u32, GpuProcess> = BTreeMap::new();
    let mut add = |info: &ProcessInfo, compute| {
        let process = processes.entry(info.pid).or_insert_with(|| describe_process(info.pid));
        process.compute |= compute;
        if let UsedGpuMemory::Used(bytes) = info.used_gpu_memory {
            process.memory = Some(bytes);
        }
    };
    computing.iter().for_each(|info| add(info, true));
    drawing.iter().for_each(|info| add(info, false));

    let samples = device.process_utilization_stats((*newest_sample > 0).then_some(*newest_sample));
    let samples = match samples {
        // Nobody ran since.
        Err(NvmlError::NotFound) => Some(Vec::new()),
        samples => told(samples)?,
    };
    if let Some(samples) = samples {
        let use_by_process = latest_use(&samples, newest_sample);
        for pid in use_by_process.keys() {
            processes.entry(*pid).or_insert_with(|| describe_process(*pid));
        }
        for process in processes.values_mut() {
            process.utilisation = Some(use_by_process.get(&process.pid).copied().unwrap_or(0));
        }
    }
    Ok(Some(processes.into_values().collect()))
}

/// A second, in which NVML's sample times count.
const SECOND_US: u64 = 1_000_000;

/// Percent by process in the newest second of these samples. NVML may hand out what it gathered over
/// the last minute, and figures past 100 that mean nothing.
fn latest_use(samples: &[ProcessUtilizationSample], newest: &mut u64) -> HashMap<u32, u32> {
    let last = samples.iter().map(|sample| sample.timestamp).max().unwrap_or(0);
    *newest = last.max(*newest);
    let mut latest: HashMap<u32, &ProcessUtilizationSample> = HashMap::new();
    let is_new = |sample: &&ProcessUtilizationSample| {
        last - sample.timestamp < SECOND_US && sample.sm_util <= 100
    };
    for sample in samples.iter().filter(is_new) {
        let known = latest.entry(sample.pid).or_insert(sample);
        if known.timestamp < sample.timestamp {
            *known = sample;
        }
    }
    latest.into_iter().map(|(pid, sample)| (pid, sample.sm_util)).collect()
}

fn describe_process(pid: u32) -> GpuProcess {
    let stat = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()?.stat().ok());
    let us = i32::try_from(process::id()).ok();
    GpuProcess {
        pid,
        ours: pid == process::id() || stat.as_ref().is_some_and(|stat| Some(stat.ppid) == us),
        name: stat.map(|stat| stat.comm),
        ..GpuProcess::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(pid: u32, timestamp: u64, sm_util: u32) -> ProcessUtilizationSample {
        ProcessUtilizationSample { pid, timestamp, sm_util, mem_util: 0, enc_util: 0, dec_util: 0 }
    }

    #[test]
    fn only_the_newest_second_of_samples_counts() {
        let mut newest = 0;
        let samples =
            [sample(1, 9_000_000, 90), sample(2, 9_500_000, 20), sample(2, 10_000_000, 30)];
        assert_eq!(latest_use(&samples, &mut newest), HashMap::from([(2, 30)]));
        assert_eq!(newest, 10_000_000);
        assert_eq!(latest_use(&[], &mut newest), HashMap::new());
        assert_eq!(newest, 10_000_000);
        let impossible = [sample(1, u64::MAX, u32::MAX), sample(1, u64::MAX - 1, 7)];
        assert_eq!(latest_use(&impossible, &mut newest), HashMap::from([(1, 7)]));
    }

    #[test]
    fn our_own_process_is_known_as_ours() {
        let us = describe_process(process::id());
        assert!(us.ours && us.name.is_some(), "{us:?}");
        let first = describe_process(1);
        assert!(!first.ours, "{first:?}");
    }
}
