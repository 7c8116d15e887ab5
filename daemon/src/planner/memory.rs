//! Whether a GPU and the machine have enough memory for a job.

use std::time::Duration;

use protocol::GpuReading;

use super::Obstacle;
use crate::gate::computing;

/// An engine's memory beyond two bytes for each parameter: CUDA itself, and what is between the layers.
const BESIDE_WEIGHTS_BYTES: u64 = 2 << 30;

/// Bytes of the machine's memory for each of a UNet's parameters: building an SD 1.5 engine with two profiles
/// took 7.4 at most, computing SDXL in fp32 on the CPU 4.9.
const MEMORY_PER_PARAMETER: u64 = 8;

/// The most bytes of the machine's memory that building a shared engine takes, and the parameters above which
/// it takes more (measured: 0.7 and 1.1 GB).
const SHARED_BYTES: u64 = 1_000_000_000;
const LARGE_SHARED_BYTES: u64 = 1_500_000_000;
const LARGE: u64 = 1_500_000_000;

/// How long a job that ran out of memory waits at least.
pub const BACK_OFF: Duration = Duration::from_secs(60);

/// Bytes of GPU memory that work with a UNet's engine needs at least.
pub fn gpu_bytes(unet_parameters: u64) -> u64 {
    unet_parameters.saturating_mul(2).saturating_add(BESIDE_WEIGHTS_BYTES)
}

/// Bytes of the machine's memory that a job with a UNet's engine needs at most.
pub fn memory_bytes(unet_parameters: u64) -> u64 {
    unet_parameters.saturating_mul(MEMORY_PER_PARAMETER)
}

/// The same for building a shared engine.
pub fn shared_memory_bytes(unet_parameters: u64) -> u64 {
    if unet_parameters > LARGE { LARGE_SHARED_BYTES } else { SHARED_BYTES }
}

/// How many shared engines are built at once on this many cores: TensorRT uses one thread for each.
pub fn builders(cores: usize) -> usize {
    (cores / 2).clamp(2, 4).min(cores.max(1))
}

/// Returns why a job that needs `needed` bytes of the machine's memory must wait for running ones, which may
/// still take `others`. The only job never waits: it may need less.
pub(crate) fn crowding(needed: u64, others: u64, free: Option<u64>) -> Option<Obstacle> {
    let free = free.filter(|free| others > 0 && *free < needed.saturating_add(others))?;
    Some(Obstacle::Memory { needed, running: others, free })
}

/// Returns why a job that needs `needed` bytes must wait, if so. `gpu` is the GPU's index, and `ran_out` how
/// long ago the job ran out of memory there. Unknown figures are no reason to wait.
pub(crate) fn shortage(
    needed: u64,
    gpu: usize,
    reading: Option<&GpuReading>,
    ran_out: Option<Duration>,
) -> Option<Obstacle> {
    if ran_out.is_some_and(|ago| ago < BACK_OFF) {
        return Some(Obstacle::RanOut { gpu });
    }
    let reading = reading?;
    if let Some(why) = &reading.lost {
        return Some(Obstacle::Lost { gpu, why: why.clone() });
    }
    if let Some(free) = reading.memory_free.filter(|free| *free < needed) {
        return Some(Obstacle::GpuMemory { gpu, needed, free });
    }
    let others = computing(reading);
    (ran_out.is_some() && !others.is_empty()).then_some(Obstacle::Shared { gpu, users: others })
}

#[cfg(test)]
mod tests {
    use protocol::GpuProcess;

    use super::*;

    #[test]
    fn half_of_the_cores_build_but_at_least_two() {
        for (cores, expected) in [(0, 1), (1, 1), (2, 2), (4, 2), (6, 3), (8, 4), (64, 4)] {
            assert_eq!(builders(cores), expected, "{cores} cores");
        }
    }

    #[test]
    fn a_job_starts_with_enough_memory_and_after_running_out_only_alone() {
        const GIB: u64 = 1 << 30;
        let reading = |memory_free, others: usize| {
            let python = GpuProcess {
                pid: 7,
                name: Some("python".to_owned()),
                compute: true,
                ..GpuProcess::default()
            };
            let drawing = GpuProcess { compute: false, ..python.clone() };
            let processes = Some([vec![drawing], vec![python; others]].concat());
            Some(GpuReading { memory_free, processes, ..GpuReading::default() })
        };
        let lost = Some("it has fallen off the bus".to_owned());
        let lost = Some(GpuReading { lost, ..GpuReading::default() });
        let needed = gpu_bytes(860_000_000);
        assert_eq!(needed, 2 * GIB + 1_720_000_000);
        let s = |seconds| Some(Duration::from_secs(seconds));
        let lacking = "waits for memory of GPU 1: about 3.9 GB needed, 3.2 GB free";
        let alone = "waits to be alone on GPU 1, whose memory has run out: used by python (pid 7)";
        for (what, reading, ran_out, expected) in [
            ("enough", reading(Some(needed), 1), None, None),
            ("not told", reading(None, 1), None, None),
            ("not looked at", None, None, None),
            ("too little", reading(Some(3 * GIB), 0), None, Some(lacking)),
            ("soon after", reading(Some(9 * GIB), 0), s(59), Some("run out; tried once more")),
            ("soon after, not looked at", None, s(0), Some("run out; tried once more")),
            ("later, alone", reading(Some(9 * GIB), 0), s(60), None),
            ("later, not alone", reading(Some(9 * GIB), 1), s(60), Some(alone)),
            ("later, too little", reading(Some(3 * GIB), 1), s(60), Some(lacking)),
            ("later, not looked at", None, s(60), None),
            ("lost", lost, None, Some("waits until GPU 1 is back: it has fallen off the bus")),
        ] {
            let found = shortage(needed, 1, reading.as_ref(), ran_out);
            let found = found.map(|why| why.to_string());
            assert_eq!(found.is_some(), expected.is_some(), "{what}: {found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{what}");
        }
    }

    #[test]
    fn a_second_job_starts_with_enough_memory_for_both() {
        let said = "up to 6.9 GB needed besides the 3.0 GB of running jobs, 9.0 GB free";
        for (others, free, expected) in
            [(0, Some(0), None), (3, None, None), (3, Some(10), None), (3, Some(9), Some(said))]
        {
            let gb = |gigabytes: u64| gigabytes * 1_000_000_000;
            let found = crowding(memory_bytes(860_000_000), gb(others), free.map(gb));
            let found = found.map(|why| why.to_string());
            assert_eq!(found.is_some(), expected.is_some(), "{others} {free:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
