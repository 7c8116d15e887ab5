//! GPUs that the kernel has suspended, as on laptops: querying the driver would wake them.

use std::{fs, path::Path};

use protocol::GpuReading;

use super::Gpu;

/// Whether this GPU is suspended, according to the kernel's `devices` (`/sys/bus/pci/devices`).
pub(super) fn is_asleep(devices: &Path, gpu: &Gpu) -> bool {
    let Some(pci) = &gpu.pci else { return false };
    let status = fs::read_to_string(devices.join(pci).join("power/runtime_status"));
    status.is_ok_and(|status| status.trim() == "suspended")
}

/// A suspended GPU's reading: no one uses it.
pub(super) fn reading() -> GpuReading {
    GpuReading { utilisation: Some(0), processes: Some(Vec::new()), ..GpuReading::default() }
}

/// Converts NVML's PCI address, which has eight digits for the domain, to the kernel's form.
pub(super) fn kernels(bus_id: &str) -> String {
    let (domain, rest) = bus_id.split_once(':').unwrap_or(("0", bus_id));
    let domain = u32::from_str_radix(domain, 16).unwrap_or_default();
    format!("{domain:04x}:{}", rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_gpus_sleep() {
        let sys = tempfile::tempdir().unwrap();
        for (pci, status) in [("0000:01:00.0", "suspended\n"), ("0000:02:00.0", "active\n")] {
            let power = sys.path().join(pci).join("power");
            fs::create_dir_all(&power).unwrap();
            fs::write(power.join("runtime_status"), status).unwrap();
        }
        let asleep = |bus_id: Option<&str>| {
            let gpu = Gpu {
                uuid: "GPU-0".to_owned(),
                name: "a GPU".to_owned(),
                compute_capability: "8.9".parse().unwrap(),
                driver: String::new(),
                pci: bus_id.map(kernels),
            };
            is_asleep(sys.path(), &gpu)
        };
        assert!(asleep(Some("00000000:01:00.0")));
        for awake in [Some("00000000:02:00.0"), Some("00000000:0A:00.0"), None] {
            assert!(!asleep(awake), "{awake:?}");
        }
        assert_eq!(kernels("00010000:0A:00.0"), "10000:0a:00.0");
    }
}
