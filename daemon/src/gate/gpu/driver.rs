use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use config::ComputeCapability;
use nvml_wrapper::{Device, Nvml, enum_wrappers::device::PerformanceState, error::NvmlError};
use protocol::GpuReading;
use tracing::debug;

use super::{
    asleep::{self, is_asleep, kernels},
    processes::processes,
    signs::Signs,
};
use crate::gate::gpu::{Found, Gpu, Gpus, Problem};

/// NVIDIA's driver, queried through NVML. A query may never return: `Timed` makes it.
#[derive(Debug)]
pub struct Driver {
    connection: Mutex<Connection>,
    /// The signs when the GPUs were listed, and their number.
    listed: Mutex<(Signs, Option<u32>)>,
    root: PathBuf,
}

#[derive(Debug, Default)]
struct Connection {
    nvml: Option<Nvml>,
    /// The time of the newest per-process sample that was read, by UUID, on NVML's clock.
    newest_samples: HashMap<String, u64>,
}

impl Default for Driver {
    fn default() -> Self {
        Self { connection: Mutex::default(), listed: Mutex::default(), root: PathBuf::from("/") }
    }
}

impl Driver {
    fn ask<T>(
        &self,
        question: impl FnOnce(&Nvml, &mut HashMap<String, u64>) -> Result<T, NvmlError>,
    ) -> Result<T, Problem> {
        let mut connection = locked(&self.connection);
        let Connection { nvml, newest_samples } = &mut *connection;
        let opened = match nvml.take() {
            Some(open) => open,
            None => Nvml::init().map_err(problem)?,
        };
        // Kept only after a success: a driver that was replaced responds only to a new connection.
        let answer = question(&opened, newest_samples).map_err(problem)?;
        *nvml = Some(opened);
        Ok(answer)
    }
}

impl Gpus for Driver {
    fn list(&self) -> Found {
        *locked(&self.listed) = (Signs::at(&self.root), None);
        let found = self.ask(|nvml, _| Ok((list(nvml)?, nvml.device_count().ok())));
        self.rest();
        match found {
            Ok((found, count)) => {
                locked(&self.listed).1 = count;
                found
            }
            Err(problem) => {
                debug!("{problem}");
                Found { gpus: Vec::new(), problem: Some(problem) }
            }
        }
    }

    fn may_differ(&self) -> bool {
        let listed = locked(&self.listed);
        listed.1.is_none() || listed.0 != Signs::at(&self.root)
    }

    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Problem> {
        let devices = self.root.join("sys/bus/pci/devices");
        let sleeps = |gpu: &Gpu| is_asleep(&devices, gpu);
        if gpus.iter().all(sleeps) {
            return Ok(vec![asleep::reading(); gpus.len()]);
        }
        self.ask(|nvml, newest_samples| {
            if nvml.device_count().ok() != locked(&self.listed).1 {
                locked(&self.listed).1 = None;
            }
            let read = |gpu: &Gpu| {
                if sleeps(gpu) {
                    return Ok(asleep::reading());
                }
                let newest = newest_samples.entry(gpu.uuid.clone()).or_default();
                let device = nvml.device_by_uuid(gpu.uuid.as_str());
                unless_lost(device.and_then(|device| read(&device, newest)))
            };
            gpus.iter().map(read).collect()
        })
    }

    fn rest(&self) {
        *locked(&self.connection) = Connection::default();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Explains an NVML error.
fn problem(error: NvmlError) -> Problem {
    match error {
        NvmlError::LibloadingError(error) => Problem::Absent(error.to_string()),
        NvmlError::DriverNotLoaded | NvmlError::LibraryNotFound => {
            Problem::Absent(error.to_string())
        }
        NvmlError::LibRmVersionMismatch => Problem::Mismatch(error.to_string()),
        error => Problem::Other(error.to_string()),
    }
}

/// Whether no GPU can be queried after this error.
fn is_drivers(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch
    )
}

/// Keeps a GPU's own failure from preventing readings of others.
fn unless_lost(reading: Result<GpuReading, NvmlError>) -> Result<GpuReading, NvmlError> {
    match reading {
        Err(error) if !is_drivers(&error) => {
            Ok(GpuReading { lost: Some(lost(&error)), ..GpuReading::default() })
        }
        reading => reading,
    }
}

fn lost(error: &NvmlError) -> String {
    match error {
        NvmlError::GpuLost => format!("it has fallen off the bus ({error})"),
        error => error.to_string(),
    }
}

fn list(nvml: &Nvml) -> Result<Found, NvmlError> {
    let driver = told(nvml.sys_driver_version())?.unwrap_or_default();
    let (mut gpus, mut lost_ones) = (Vec::new(), Vec::new());
    for index in 0..nvml.device_count()? {
        match nvml.device_by_index(index).and_then(|device| describe(&device, &driver)) {
            Ok(gpu) => gpus.push(gpu),
            Err(error) if is_drivers(&error) => return Err(error),
            Err(error) => lost_ones.push(format!("GPU {index} can't be used: {}", lost(&error))),
        }
    }
    let problem = (!lost_ones.is_empty()).then(|| Problem::LostGpu(lost_ones.join("; ")));
    Ok(Found { gpus, problem })
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
        pci: told(device.pci_info())?.map(|info| kernels(&info.bus_id)),
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
        lost: None,
    })
}

/// An answer, or `None` where the GPU or this user's rights don't have it. All else is an error:
/// the GPU or the driver is lost.
pub(super) fn told<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ (NvmlError::GpuLost | NvmlError::ResetRequired)) => Err(error),
        Err(error) if is_drivers(&error) => Err(error),
        Err(error) => {
            debug!("not told: {error}");
            Ok(None)
        }
    }
}

/// Returns the version of the kernel module, which is known even if NVML fails.
pub fn module_version(root: &Path) -> Option<String> {
    let told = std::fs::read_to_string(root.join("proc/driver/nvidia/version")).ok()?;
    let is_version = |word: &&str| word.contains('.') && word.split('.').all(is_number);
    told.lines().next()?.split_whitespace().find(is_version).map(str::to_owned)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_absent_and_a_lost_gpu_is_an_error() {
        for error in [NvmlError::NotSupported, NvmlError::NoPermission, NvmlError::Unknown] {
            assert!(matches!(told::<()>(Err(error)), Ok(None)));
        }
        for error in [NvmlError::GpuLost, NvmlError::ResetRequired, NvmlError::LibRmVersionMismatch]
        {
            assert!(told::<()>(Err(error)).is_err());
        }
    }

    #[test]
    fn one_gpu_that_fails_is_lost_alone_and_a_driver_with_all() {
        for error in [NvmlError::GpuLost, NvmlError::NotFound, NvmlError::Unknown] {
            let reading = unless_lost(Err(error)).unwrap();
            assert!(reading.lost.is_some(), "{reading:?}");
        }
        assert!(unless_lost(Err(NvmlError::GpuLost)).unwrap().lost.unwrap().contains("the bus"));
        for error in [NvmlError::LibRmVersionMismatch, NvmlError::DriverNotLoaded] {
            assert!(unless_lost(Err(error)).is_err());
        }
    }

    #[test]
    fn a_mismatch_is_named_with_what_to_do() {
        let told = problem(NvmlError::LibRmVersionMismatch).to_string();
        assert!(told.contains("different versions") && told.contains("modprobe -r"), "{told}");
        assert!(matches!(problem(NvmlError::DriverNotLoaded), Problem::Absent(_)));
        assert!(matches!(problem(NvmlError::Unknown), Problem::Other(_)));
    }

    #[test]
    fn the_kernel_module_says_its_version() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(module_version(root.path()), None);
        let driver = root.path().join("proc/driver/nvidia");
        std::fs::create_dir_all(&driver).unwrap();
        let text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.14  Release Build\n\
                    GCC version:  gcc version 12.2.0\n";
        std::fs::write(driver.join("version"), text).unwrap();
        assert_eq!(module_version(root.path()).as_deref(), Some("550.54.14"));
    }
}
