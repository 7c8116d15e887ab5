//! This machine's NVIDIA GPUs, and their use.

mod asleep;
mod driver;
mod processes;
mod signs;
mod timed;

use config::ComputeCapability;
use protocol::GpuReading;
use thiserror::Error;

pub use driver::{Driver, module_version};
pub use timed::Timed;

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// NVIDIA's unique id of the GPU.
    pub uuid: String,
    /// The model.
    pub name: String,
    /// The GPU's compute capability.
    pub compute_capability: ComputeCapability,
    /// The driver's version; empty if unknown.
    pub driver: String,
    /// Its PCI address in the kernel's form, such as `0000:01:00.0`, if known.
    pub pci: Option<String>,
}

/// The compute capabilities of these GPUs.
pub fn compute_capabilities(gpus: &[Gpu]) -> Vec<ComputeCapability> {
    gpus.iter().map(|gpu| gpu.compute_capability).collect()
}

/// The GPUs that the driver reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that can be used.
    pub gpus: Vec<Gpu>,
    /// Why these may not be all.
    pub problem: Option<Problem>,
}

/// Why the driver or a GPU can't be queried.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// There is no driver at all, as on a machine without such a GPU.
    #[error("there is no NVIDIA driver: {0}")]
    Absent(String),
    /// An update has replaced the libraries, but the old module is still loaded.
    #[error(
        "the NVIDIA driver's libraries and its kernel module are of different versions ({0}), as after an update: \
         restart the machine, or end what uses the GPUs and load the modules anew \
         (`sudo modprobe -r nvidia_uvm nvidia_drm nvidia_modeset nvidia`, then `sudo modprobe nvidia`)"
    )]
    Mismatch(String),
    /// It does not reply.
    #[error(
        "the NVIDIA driver does not answer: a question has waited for {0} s, and nothing more is asked until it is \
         answered; if that lasts, see `sudo dmesg` and restart the machine"
    )]
    Silent(u64),
    /// Some of several GPUs have failed.
    #[error("{0}; `sudo dmesg` says more, and a restart of the machine may bring it back")]
    LostGpu(String),
    /// Any other error.
    #[error(
        "the NVIDIA driver does not answer ({0}); after an update of the driver, restart the machine"
    )]
    Other(String),
}

/// Lists the GPUs and measures their use. The real one is a [`Driver`] in [`Timed`].
pub trait Gpus: Send + Sync + 'static {
    /// Returns all GPUs.
    fn list(&self) -> Found;

    /// Whether GPUs or the driver may have changed since they were listed. Queries no GPU, so that they can
    /// sleep.
    fn may_differ(&self) -> bool;

    /// Measures the use of each of these GPUs. What a GPU does not report is absent from its reading; if one
    /// fails while others don't, [`GpuReading::lost`] says why.
    ///
    /// # Errors
    /// If none of them can be queried.
    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Problem>;

    /// Lets go of the driver until the next reading, so that GPUs may sleep and drivers be
    /// replaced. It returns at once.
    fn rest(&self);
}
