//! The NVIDIA GPUs of this machine, and how they are used.

mod driver;

use config::ComputeCapability;
use protocol::GpuReading;
use thiserror::Error;

pub use driver::Driver;

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
}

/// What they can run.
pub fn compute_capabilities(gpus: &[Gpu]) -> Vec<ComputeCapability> {
    gpus.iter().map(|gpu| gpu.compute_capability).collect()
}

/// GPUs that were there can't be asked any more: the driver was unloaded or replaced, or one has
/// fallen off the bus.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the NVIDIA driver does not answer ({0}); after an update of the driver, restart the machine"
)]
pub struct Lost(pub String);

/// Tells which GPUs there are and how they are used. The real one is [`Driver`].
pub trait Gpus: Send + Sync + 'static {
    /// All of them; none without a driver.
    fn list(&self) -> Vec<Gpu>;

    /// How each of these is used now. What a GPU does not tell is absent from its reading.
    ///
    /// # Errors
    /// When one of them can't be asked at all.
    fn read(&self, gpus: &[Gpu]) -> Result<Vec<GpuReading>, Lost>;

    /// Lets go of the driver until the next reading, so that GPUs may sleep and drivers be
    /// replaced.
    fn rest(&self);
}
