//! How fast engines are beside PyTorch, as front ends have measured.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use checkpoint::Id;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};
use protocol::Timing;

/// The calls that a figure is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    engine: String,
    gpu: String,
    front_end: String,
    width: u64,
    height: u64,
    batch: u64,
    tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    speedup: f64,
    seconds: f64,
}

impl CallLabel {
    fn new(engine: &Id, timing: &Timing) -> Self {
        Self {
            engine: engine.short(),
            gpu: timing.gpu.clone(),
            front_end: timing.front_end.clone(),
            width: timing.width,
            height: timing.height,
            batch: timing.batch,
            tokens: timing.tokens,
        }
    }
}

impl Figures {
    fn new(timing: &Timing) -> Self {
        Self { speedup: timing.gain(), seconds: timing.engine_milliseconds / 1000.0 }
    }
}

/// Those of `timings` that no later one of the same call replaces.
pub(super) fn latest(timings: &[Timing]) -> impl Iterator<Item = &Timing> {
    let call = |timing: &Timing| {
        let Timing { gpu, front_end, width, height, batch, tokens, .. } = timing;
        (gpu.clone(), front_end.clone(), [*width, *height, *batch, *tokens])
    };
    let by_call: HashMap<_, _> = timings.iter().map(|timing| (call(timing), timing)).collect();
    by_call.into_values()
}

/// The last figures of each kind of call. They are replaced as a whole, so that those of deleted engines go.
#[derive(Clone, Debug, Default)]
pub(super) struct Speeds(Arc<Mutex<HashMap<CallLabel, Figures>>>);

impl Speeds {
    /// `timings` are those of each engine, the oldest first.
    pub(super) fn replace<'a>(&self, timings: impl Iterator<Item = (&'a Id, &'a Vec<Timing>)>) {
        let figures = timings.flat_map(|(engine, timings)| {
            latest(timings).map(|timing| (CallLabel::new(engine, timing), Figures::new(timing)))
        });
        *self.figures() = figures.filter(|(_, figures)| figures.speedup.is_finite()).collect();
    }

    fn figures(&self) -> MutexGuard<'_, HashMap<CallLabel, Figures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Speeds {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = self.figures();
        let mut one = |name: &str, help: &str, unit: Unit, of: fn(&Figures) -> f64| {
            let mut family =
                encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
            for (call, figures) in figures.iter() {
                ConstGauge::new(of(figures)).encode(family.encode_family(call)?)?;
            }
            Ok(())
        };
        let ratio = Unit::Other("ratio".to_owned());
        let help = "How many times as fast as PyTorch an engine computes a call of the UNet";
        one("speedup", help, ratio, |figures| figures.speedup)?;
        let help = "Time that an engine takes for a call of the UNet";
        one("call", help, Unit::Seconds, |figures| figures.seconds)
    }
}
