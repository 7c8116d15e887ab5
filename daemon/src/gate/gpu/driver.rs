use std::{
    collections::{BTreeMap, HashMap},
    process,
    sync::{Mutex, PoisonError},
};

use config::ComputeCapability;
use nvml_wrapper::{
    Device, Nvml,
    enum_wrappers::device::PerformanceState,
    enums::device::UsedGpuMemory,
    error::NvmlError,
    struct_wrappers::device::{ProcessInfo, ProcessUtilizationSample},
};
use procfs::process::Process;
use protocol::{GpuProcess, GpuReading};
use tracing::debug;

use crate::gate::{Gpu, Gpus, Lost};

/// NVIDIA's driver, asked through NVML.
///
/// Processes are told apart by their ids, so in a container with process ids of its own sdtrtd's
/// worker may look like somebody else's.
#[derive(Debug, Default)]
pub struct Driver(Mutex<Connection>);

#[derive(Debug, Default)]
struct Connection {
    nvml: Option<Nvml>,
    /// By UUID, the newest sample of the use by process that was taken in, in NVML's own time.
    newest_samples: HashMap<String, u64>,
}

impl Driver {
    /// Version of the driver.
    ///
    /// # Errors
    /// Why there is none to ask.
    pub fn version(&self) -> Result<String, String> {
        let version = self.ask(|nvml, _| nvml.sys_driver_version());
        self.rest();
        version.map_err(|error| match error {
            NvmlError::LibloadingError(error) => error.to_string(),
            error => error.to_string(),
        })
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Nvml, &mut HashMap<String, u64>) -> Result<T, NvmlError>,
    ) -> Result<T, NvmlError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Connection { nvml, newest_samples } = &mut *connection;
        let opened = match nvml.take() {
            Some(open) => open,
            None => Nvml::init()?,
        };
        // Kept after a success only: a driver that was replaced answers a new connection alone.
        let answer = question(&opened, newest_samples)?;
        *nvml = Some(opened);
        Ok(answer)
    }
}

impl Gpus for Driver {
    fn list(&self) -> Vec<Gpu> {
        let gpus = self.ask(|nvml, _| list(nvml)).unwrap_or_else(|error| {
            debug!("no NVIDIA driver: {error}");
            Vec::new()
        });
        self.rest();
        gpus
    }

    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Lost> {
        if gpus.is_empty() {
            return Ok(Vec::new());
        }
        let readings = self.ask(|nvml, newest_samples| {
            let read = |gpu: &Gpu| {
                let device = nvml.device_by_uuid(gpu.uuid.as_str())?;
                let newest = newest_samples.entry(gpu.uuid.clone()).or_default();
                read(&device, newest)
            };
            gpus.iter().map(read).collect()
        });
        readings.map_err(|error| Lost(error.to_string()))
    }

    fn rest(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Connection::default();
    }
}

fn list(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let driver = told(nvml.sys_driver_version())?.unwrap_or_default();
    let devices =
        (0..nvml.device_count()?).map(|index| describe(&nvml.device_by_index(index)?, &driver));
    // A card that does not say what it is, or has fallen off the bus, is as good as none.
    Ok(devices.filter_map(|gpu| gpu.inspect_err(|error| debug!("a GPU: {error}")).ok()).collect())
}

fn describe(device: &Device<'_>, driver: &str) -> Result<Gpu, NvmlError> {
    let capability = device.cuda_compute_capability()?;
    Ok(Gpu {
        uuid: device.uuid()?,
        name: device.name()?,
        compute_capability: ComputeCapability {
            major: u32::try_from(capability.major).unwrap_or(0),
            minor: u32::try_from(capability.minor).unwrap_or(0),
        },
        driver: driver.to_owned(),
    })
}

fn read(device: &Device<'_>, newest_sample: &mut u64) -> Result<GpuReading, NvmlError> {
    let memory = told(device.memory_info())?;
    let state = told(device.performance_state())?;
    Ok(GpuReading {
        utilisation: told(device.utilization_rates())?.map(|rates| rates.gpu),
        performance_state: state.filter(|s| *s != PerformanceState::Unknown).map(|s| s.as_c()),
        memory_free: memory.as_ref().map(|memory| memory.free),
        memory_total: memory.as_ref().map(|memory| memory.total),
        processes: processes(device, newest_sample)?,
    })
}

/// An answer, or `None` where the GPU or this user's rights don't have it. All else is an error:
/// the GPU is lost.
fn told<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(
            error @ (NvmlError::GpuLost
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch),
        ) => Err(error),
        Err(error) => {
            debug!("not told: {error}");
            Ok(None)
        }
    }
}

fn processes(
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
/// the last minute.
fn latest_use(samples: &[ProcessUtilizationSample], newest: &mut u64) -> HashMap<u32, u32> {
    let last = samples.iter().map(|sample| sample.timestamp).max().unwrap_or(0);
    *newest = last.max(*newest);
    let mut latest: HashMap<u32, &ProcessUtilizationSample> = HashMap::new();
    for sample in samples.iter().filter(|sample| sample.timestamp + SECOND_US > last) {
        let known = latest.entry(sample.pid).or_insert(sample);
        if known.timestamp < sample.timestamp {
            *known = sample;
        }
    }
    latest.into_iter().map(|(pid, sample)| (pid, sample.sm_util.min(100))).collect()
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
    }

    #[test]
    fn what_is_not_supported_is_absent_and_a_lost_gpu_is_an_error() {
        for error in [NvmlError::NotSupported, NvmlError::NoPermission, NvmlError::Unknown] {
            assert!(matches!(told::<()>(Err(error)), Ok(None)));
        }
        for error in [NvmlError::GpuLost, NvmlError::LibRmVersionMismatch] {
            assert!(told::<()>(Err(error)).is_err());
        }
    }

    #[test]
    fn our_own_process_is_known_as_ours() {
        let us = describe_process(process::id());
        assert!(us.ours && us.name.is_some(), "{us:?}");
        let first = describe_process(1);
        assert!(!first.ours, "{first:?}");
    }
}
