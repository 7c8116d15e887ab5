//! The NVIDIA GPUs of this machine.

use config::ComputeCapability;
use nvml_wrapper::{Device, Nvml, error::NvmlError};
use tracing::debug;

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// NVIDIA's name for this very card.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// What it can run.
    pub compute_capability: ComputeCapability,
}

/// Tells which GPUs there are. The real one is [`Driver`].
pub trait Gpus: Send + Sync + 'static {
    /// All of them; none without a driver.
    fn list(&self) -> Vec<Gpu>;
}

/// NVIDIA's driver, asked through NVML.
#[derive(Clone, Copy, Debug, Default)]
pub struct Driver;

impl Gpus for Driver {
    fn list(&self) -> Vec<Gpu> {
        try_list().unwrap_or_else(|error| {
            debug!("no NVIDIA driver: {error}");
            Vec::new()
        })
    }
}

fn try_list() -> Result<Vec<Gpu>, NvmlError> {
    let nvml = Nvml::init()?;
    let devices = (0..nvml.device_count()?).map(|index| describe(&nvml.device_by_index(index)?));
    // A card that does not say what it is, or has fallen off the bus, is as good as none.
    Ok(devices.filter_map(|gpu| gpu.inspect_err(|error| debug!("a GPU: {error}")).ok()).collect())
}

fn describe(device: &Device<'_>) -> Result<Gpu, NvmlError> {
    let capability = device.cuda_compute_capability()?;
    Ok(Gpu {
        uuid: device.uuid()?,
        name: device.name()?,
        compute_capability: ComputeCapability {
            major: u32::try_from(capability.major).unwrap_or(0),
            minor: u32::try_from(capability.minor).unwrap_or(0),
        },
    })
}
