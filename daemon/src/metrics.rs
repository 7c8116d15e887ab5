//! Metrics in the OpenMetrics format, for Prometheus and others, at a local address.

mod server;
mod speed;
mod state;

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use server::serve;
use state::State;

/// The label that says how a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// JobCounts of one kind: how they ended, and how long they took.
#[derive(Debug)]
struct JobCounts {
    ended: Family<OutcomeLabel, Counter>,
    took: Histogram,
}

impl Default for JobCounts {
    fn default() -> Self {
        let minutes = [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0];
        Self { ended: Family::default(), took: Histogram::new(minutes) }
    }
}

impl JobCounts {
    fn register(&self, registry: &mut Registry, name: &str, outcomes: &[&'static str]) {
        // From the start: a rate over a counter that appears with its first event misses that event.
        for outcome in outcomes {
            drop(self.ended.get_or_create(&OutcomeLabel { outcome }));
        }
        let help = format!("Ended {name}s by outcome");
        registry.register(format!("{name}s"), help, self.ended.clone());
        let help = format!("Time of a {name}");
        registry.register_with_unit(name, help, Unit::Seconds, self.took.clone());
    }

    fn end(&self, outcome: &'static str, took: Duration) {
        self.ended.get_or_create(&OutcomeLabel { outcome }).inc();
        self.took.observe(took.as_secs_f64());
    }
}

/// All metrics, collected whether or not they are served.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    builds: JobCounts,
    validations: JobCounts,
    state: State,
    /// Seconds that engines have waited for an idle machine.
    pub wait: Counter<f64, std::sync::atomic::AtomicU64>,
    /// Bytes of checkpoints read to identify them.
    pub hashed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sdtrtd"),
            builds: JobCounts::default(),
            validations: JobCounts::default(),
            state: State::default(),
            wait: Counter::default(),
            hashed: Counter::default(),
        };
        let registry = &mut metrics.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("program", "The running program", version);
        metrics.builds.register(registry, "build", &["published", "fetched", "again", "failed"]);
        let outcomes = ["accurate", "inaccurate", "not_compared", "again", "failed"];
        metrics.validations.register(registry, "validation", &outcomes);
        metrics.state.register(registry);
        let waited = "Time that engines waited for an idle machine";
        registry.register_with_unit("gpu_wait", waited, Unit::Seconds, metrics.wait.clone());
        let hashed = "Checkpoints read to identify them";
        registry.register_with_unit("hashed", hashed, Unit::Bytes, metrics.hashed.clone());
        metrics
    }
}

impl Metrics {
    /// Counts a build that ended with this `outcome`.
    pub fn build_ended(&self, outcome: &'static str, took: Duration) {
        self.builds.end(outcome, took);
    }

    /// Counts a validation that ended with this `outcome`.
    pub fn validation_ended(&self, outcome: &'static str, took: Duration) {
        self.validations.end(outcome, took);
    }

    /// What is served.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_units_and_an_end() {
        let metrics = Metrics::default();
        metrics.build_ended("published", Duration::from_secs(45));
        metrics.validation_ended("inaccurate", Duration::from_secs(8));
        metrics.hashed.inc_by(7);
        let text = metrics.text();
        for line in [
            "sdtrtd_builds_total{outcome=\"published\"} 1",
            "sdtrtd_build_seconds_bucket{le=\"60.0\"} 1",
            "sdtrtd_hashed_bytes_total 7",
            "sdtrtd_builds_total{outcome=\"failed\"} 0",
            "sdtrtd_validations_total{outcome=\"inaccurate\"} 1",
            "sdtrtd_validation_seconds_count 1",
            concat!("sdtrtd_program_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "sdtrtd_free_bytes 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn each_metric_and_outcome_is_documented() {
        let page = include_str!("../../docs/operators.md");
        for line in Metrics::default().text().lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let name = ["_bucket", "_sum", "_count"]
                .iter()
                .fold(name, |name, end| name.trim_end_matches(end));
            assert!(page.contains(&format!("`{name}")), "{name}");
            if let Some((_, value)) = line.split_once("{outcome=\"") {
                let value = value.split('"').next().unwrap_or_default();
                assert!(page.contains(&format!("`{value}`")), "{value} of {name}");
            }
        }
    }
}
