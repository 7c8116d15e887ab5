use std::time::Duration;

use protocol::GpuReading;

use crate::gate::{
    GateReason, Sample,
    stuck::Stuck,
    users::{self, Use},
};

/// Below this percentage of use by others a GPU counts as idle: a quiet desktop stays below, most of the
/// time.
const GPU_STARTS: u32 = 10;

/// Up to this percentage an idle GPU stays idle, so that opening a window does not cost a build. Generating
/// images takes far more, even with little memory, when weights are moved to and fro.
const GPU_STOPS: u32 = 30;

/// The same for all CPU cores together. Builds have the lowest priority and use only what is left, but that
/// should be at least half.
const CPU_STARTS: u32 = 50;
const CPU_STOPS: u32 = 80;

/// On a machine whose CPU is never idle, a build starts after this time all the same: its priority gives way
/// to others.
const CPU_PATIENCE: Duration = Duration::from_secs(30);

/// After this long without samples, because the machine slept or nothing was queued, the window starts again.
const GAP: Duration = Duration::from_secs(5);

/// A gate's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Builds may start.
    Start,
    /// None may start, but a running one may go on.
    Wait(GateReason),
    /// None may start, and a running one must stop.
    Stop(GateReason),
}

/// Opens once a GPU was idle for a window, and closes at the first sample that says it is not. Times are
/// relative to any fixed moment.
///
/// - Without a GPU there is nobody to disturb, and no window: jobs run at the lowest priority.
/// - A GPU is idle below 10 % use by others, and busy again above 30 %.
/// - A web UI that answers is idle when it makes no images; otherwise it does so on any GPU where others
///   compute, or which does not tell. One that does not answer says nothing.
/// - The CPU decides only without a GPU that tells of its use: idle below 50 %, busy above 80 %. It
///   never stops a build, and holds up none for longer than half a minute.
/// - What a GPU reports while a job of ours is on it and no other process is seen there is ours. What it reports by
///   nobody counts as nothing once it has been exactly the same for a minute.
/// - While GPUs that were there can't be read, nothing starts and nothing is stopped; one of several that can't be
///   read is alone in that.
#[derive(Clone, Debug)]
struct Policy {
    gpu: Option<usize>,
    window: Duration,
    open: bool,
    idle_since: Option<Duration>,
    cpu_busy_since: Option<Duration>,
    sampled: Option<Duration>,
    stuck: Stuck,
}

impl Policy {
    /// A closed gate for the GPU with this index, or for a machine without GPUs.
    fn new(gpu: Option<usize>, window: Duration) -> Self {
        Self {
            gpu,
            window,
            open: false,
            idle_since: None,
            cpu_busy_since: None,
            sampled: None,
            stuck: Stuck::default(),
        }
    }

    /// Why it is closed before the first sample.
    fn too_soon(&self) -> GateReason {
        match self.gpu {
            Some(_) => GateReason::TooSoon { window: self.window },
            None => GateReason::Unseen,
        }
    }

    /// Records the sample at `now`, and decides.
    fn take(&mut self, sample: &Sample, now: Duration) -> Decision {
        if self.sampled.is_some_and(|sampled| now.saturating_sub(sampled) > GAP) {
            *self = Self::new(self.gpu, self.window);
        }
        self.sampled = Some(now);
        let stuck = self.stuck_since(sample, now);
        let busy = self.busy(sample, stuck.is_some());
        let out_of_patience = match &busy {
            Some(Decision::Wait(GateReason::Cpu(_))) => {
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
                let since = *self.idle_since.get_or_insert(stuck.unwrap_or(now));
                let long_enough = self.gpu.is_none() || now.saturating_sub(since) >= self.window;
                self.open |= long_enough || out_of_patience;
                if out_of_patience {
                    self.cpu_busy_since = None;
                    self.idle_since = None;
                }
                if self.open { Decision::Start } else { Decision::Wait(self.too_soon()) }
            }
        }
    }

    /// Since when the GPU has reported the same use without a process, if that means nothing.
    fn stuck_since(&mut self, sample: &Sample, now: Duration) -> Option<Duration> {
        let index = self.gpu?;
        let reading = sample.gpus.as_ref().ok()?.get(index)?;
        if sample.ours.contains(&index) {
            return None;
        }
        let by_nobody = reading.used_by_nobody().filter(|percent| *percent > GPU_STARTS);
        if by_nobody.is_none() {
            self.stuck.forget();
        }
        self.stuck.take(by_nobody, now)
    }

    /// Why nothing may be built now, if so. A GPU whose figure `is_stuck` is idle.
    fn busy(&self, sample: &Sample, is_stuck: bool) -> Option<Decision> {
        let gpus = match &sample.gpus {
            Ok(gpus) => gpus,
            Err(why) => return Some(Decision::Wait(GateReason::Lost(why.clone()))),
        };
        let activity = sample.activity();
        let Some(index) = self.gpu else {
            // A build's priority already gives way to others.
            return activity.or_else(|| self.busy_cpu(sample)).map(Decision::Wait);
        };
        let Some(reading) = gpus.get(index) else {
            return Some(Decision::Wait(GateReason::Lost(format!("GPU {index} is gone"))));
        };
        if let Some(why) = &reading.lost {
            return Some(Decision::Wait(GateReason::LostGpu { index, why: why.clone() }));
        }
        let activity = activity.filter(|_| users::may_be_there(reading));
        let is_ours = sample.ours.contains(&index);
        let others = if is_stuck { Use::Nothing } else { users::others(reading, is_ours) };
        let gpu = self.busy_gpu(index, reading, others).or(activity);
        gpu.map(Decision::Stop).or_else(|| {
            let is_mute = others == Use::Unknown;
            self.busy_cpu(sample).filter(|_| is_mute).map(Decision::Wait)
        })
    }

    fn busy_gpu(&self, index: usize, reading: &GpuReading, others: Use) -> Option<GateReason> {
        let limit = if self.open { GPU_STOPS } else { GPU_STARTS };
        let percent = match others {
            Use::Percent(percent) if percent > limit => Some(percent),
            Use::Some => None,
            Use::Percent(_) | Use::Nothing | Use::Unknown => return None,
        };
        if let Some(percent) = percent.filter(|_| reading.used_by_nobody().is_some()) {
            return Some(GateReason::Nobody { index, percent });
        }
        Some(GateReason::Gpu { index, percent, users: users::names(reading) })
    }

    fn busy_cpu(&self, sample: &Sample) -> Option<GateReason> {
        let limit = if self.open { CPU_STOPS } else { CPU_STARTS };
        sample.cpu.filter(|percent| *percent > limit).map(GateReason::Cpu)
    }
}

/// A gate for each GPU, in order, or one for a machine without GPUs.
#[derive(Clone, Debug)]
pub struct Gates(Vec<Policy>);

impl Gates {
    /// Closed gates.
    pub fn new(gpus: usize, window: Duration) -> Self {
        Self(match gpus {
            0 => vec![Policy::new(None, window)],
            _ => (0..gpus).map(|index| Policy::new(Some(index), window)).collect(),
        })
    }

    /// Each gate's decision before the first sample.
    pub fn too_soon(&self) -> Vec<Decision> {
        self.0.iter().map(|gate| Decision::Wait(gate.too_soon())).collect()
    }

    /// Lets each gate record the sample at `now`, and decide.
    pub fn take(&mut self, sample: &Sample, now: Duration) -> Vec<Decision> {
        self.0.iter_mut().map(|gate| gate.take(sample, now)).collect()
    }
}
