use std::time::Duration;

use protocol::GpuReading;

use super::{
    Reason, Sample,
    users::{self, Use},
};

/// Below this much use by others, in percent, a GPU counts as idle: a desktop that shows something
/// stays below, most of the time.
const GPU_STARTS: u32 = 10;

/// Up to this much a GPU that was idle stays so, so that a window that opens does not cost a build.
/// Making images takes far more, even where the weights move to and fro in little memory.
const GPU_STOPS: u32 = 30;

/// The same for all CPU cores together. Builds have the least priority and so take only what is
/// left, but half of it at least should be.
const CPU_STARTS: u32 = 50;
const CPU_STOPS: u32 = 80;

/// On a machine whose CPU never rests one engine is built all the same after so long: its priority
/// lets others go first.
const CPU_PATIENCE: Duration = Duration::from_secs(30);

/// After a time without samples as long as this (the machine slept, or nothing was to be built) the
/// window begins anew.
const GAP: Duration = Duration::from_secs(5);

/// What may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Builds may start.
    Start,
    /// None may start, but one that runs may go on.
    Wait(Reason),
    /// None may start, and one that runs must make room.
    Stop(Reason),
}

/// Opens once the GPUs have been idle for a window, and closes at the first sample that says they
/// are not. Times count from any fixed moment.
///
/// - Without a GPU there is nobody to disturb, and no window.
/// - A GPU is idle below 10 % use by others, and busy again above 30 %.
/// - A web UI that answers is idle when it makes no images. One that does not answer says nothing.
/// - The CPU decides only without a GPU that tells of its use: idle below 50 %, busy above 80 %. It
///   never stops a build, and holds up none for longer than half a minute.
/// - While GPUs that were there can't be read, nothing starts and nothing is stopped.
#[derive(Clone, Debug)]
pub struct Gate {
    window: Duration,
    open: bool,
    idle_since: Option<Duration>,
    cpu_busy_since: Option<Duration>,
    sampled: Option<Duration>,
}

impl Gate {
    /// A closed one.
    pub fn new(window: Duration) -> Self {
        Self { window, open: false, idle_since: None, cpu_busy_since: None, sampled: None }
    }

    /// Why it is closed before the first sample.
    pub fn too_soon(&self) -> Reason {
        Reason::TooSoon { window: self.window }
    }

    /// Takes in what was read at `now`, and decides.
    pub fn take(&mut self, sample: &Sample, now: Duration) -> Decision {
        if self.sampled.is_some_and(|sampled| now.saturating_sub(sampled) > GAP) {
            *self = Self::new(self.window);
        }
        self.sampled = Some(now);
        let busy = self.busy(sample);
        let out_of_patience = match &busy {
            Some(Decision::Wait(Reason::Cpu(_))) => {
                now.saturating_sub(*self.cpu_busy_since.get_or_insert(now)) >= CPU_PATIENCE
            }
            _ => {
                self.cpu_busy_since = None;
                false
            }
        };
        match busy {
            Some(busy) if !out_of_patience => {
                self.open = false;
                self.idle_since = None;
                busy
            }
            _ => {
                let since = *self.idle_since.get_or_insert(now);
                let is_without_gpu = sample.gpus.as_ref().is_ok_and(Vec::is_empty);
                let long_enough = is_without_gpu || now.saturating_sub(since) >= self.window;
                self.open |= long_enough || out_of_patience;
                if out_of_patience {
                    self.cpu_busy_since = None;
                    self.idle_since = None;
                }
                if self.open { Decision::Start } else { Decision::Wait(self.too_soon()) }
            }
        }
    }

    /// What speaks against building now.
    fn busy(&self, sample: &Sample) -> Option<Decision> {
        let gpus = match &sample.gpus {
            Ok(gpus) => gpus,
            Err(why) => return Some(Decision::Wait(Reason::Lost(why.clone()))),
        };
        // Without a GPU a build takes nothing that its priority does not give back.
        let stop = |reason| {
            if gpus.is_empty() { Decision::Wait(reason) } else { Decision::Stop(reason) }
        };
        let gpu = gpus.iter().enumerate().find_map(|(index, gpu)| self.busy_gpu(index, gpu));
        let webui = || sample.webui.as_ref().filter(|webui| webui.at_work).map(|_| Reason::WebUi);
        gpu.or_else(webui).map(stop).or_else(|| {
            let is_mute = |gpu| users::others(gpu) == Use::Unknown;
            let limit = if self.open { CPU_STOPS } else { CPU_STARTS };
            let percent = sample.cpu.filter(|percent| *percent > limit)?;
            gpus.iter().all(is_mute).then_some(Decision::Wait(Reason::Cpu(percent)))
        })
    }

    fn busy_gpu(&self, index: usize, reading: &GpuReading) -> Option<Reason> {
        let limit = if self.open { GPU_STOPS } else { GPU_STARTS };
        let percent = match users::others(reading) {
            Use::Percent(percent) if percent > limit => Some(percent),
            Use::Some => None,
            Use::Percent(_) | Use::Nothing | Use::Unknown => return None,
        };
        Some(Reason::Gpu { index, percent, users: users::names(reading) })
    }
}
