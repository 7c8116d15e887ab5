//! The NVIDIA GPUs of this machine, and how they are used.

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

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// NVIDIA's name for this very card.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// What it can run.
    pub compute_capability: ComputeCapability,
    /// Version of its driver; empty where that does not tell.
    pub driver: String,
    /// Its place on the PCI bus as the kernel writes it, such as `0000:01:00.0`, where the driver tells.
    pub pci: Option<String>,
}

/// What they can run.
pub fn compute_capabilities(gpus: &[Gpu]) -> Vec<ComputeCapability> {
    gpus.iter().map(|gpu| gpu.compute_capability).collect()
}

/// Which GPUs there are, as far as the driver tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that can be used.
    pub gpus: Vec<Gpu>,
    /// Why these may not be all.
    pub problem: Option<Problem>,
}

/// Why the driver or a GPU can't be asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Problem {
    /// Nothing of a driver is there, as on a machine without such a GPU.
    #[error("there is no NVIDIA driver: {0}")]
    Absent(String),
    /// An update has replaced the libraries, and the module of before is still loaded.
    #[error(
        "the NVIDIA driver's libraries and its kernel module are of different versions ({0}), as after an update: \
         restart the machine, or end what uses the GPUs and load the modules anew \
         (`sudo modprobe -r nvidia_uvm nvidia_drm nvidia_modeset nvidia`, then `sudo modprobe nvidia`)"
    )]
    Mismatch(String),
    /// It was asked, and says nothing.
    #[error(
        "the NVIDIA driver does not answer: a question has waited for {0} s, and nothing more is asked until it is \
         answered; if that lasts, see `sudo dmesg` and restart the machine"
    )]
    Silent(u64),
    /// Some GPUs of several have failed.
    #[error("{0}; `sudo dmesg` says more, and a restart of the machine may bring it back")]
    LostGpu(String),
    /// All else.
    #[error(
        "the NVIDIA driver does not answer ({0}); after an update of the driver, restart the machine"
    )]
    Other(String),
}

/// Tells which GPUs there are and how they are used. The real one is a [`Driver`] within [`Timed`].
pub trait Gpus: Send + Sync + 'static {
    /// All of them.
    fn list(&self) -> Found;

    /// Whether GPUs or the driver may be others than when they were listed. It asks no GPU, so that they may
    /// sleep.
    fn may_differ(&self) -> bool;

    /// How each of these is used now. What a GPU does not tell is absent from its reading; one that fails where
    /// others don't says why in [`GpuReading::lost`].
    ///
    /// # Errors
    /// When none of them can be asked.
    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Problem>;

    /// Lets go of the driver until the next reading, so that GPUs may sleep and drivers be
    /// replaced. It returns at once.
    fn rest(&self);
}
