//! The idle policy on traces: what NVML, `/proc/stat` and the web UI would tell on machines in daily
//! use, in `tests/idle/*.jsonl`. Each line holds for some seconds, is looked at twice a second as the
//! daemon does, and says what must be decided at every look.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use sdtrtd::schedule::{Decision, Gate, Sample};
use serde::Deserialize;

const WINDOW: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);

#[derive(Deserialize)]
struct Step {
    /// Seconds.
    holds: f64,
    #[serde(flatten)]
    sample: Sample,
    decision: String,
}

fn shown(decision: Decision) -> String {
    match decision {
        Decision::Start => "start".to_owned(),
        Decision::Wait(reason) => format!("wait: {reason}"),
        Decision::Stop(reason) => format!("stop: {reason}"),
    }
}

fn follow(path: &Path) {
    let mut gate = Gate::new(WINDOW);
    let mut now = Duration::from_secs(1000);
    for (number, line) in fs::read_to_string(path).unwrap().lines().enumerate() {
        let step: Step = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", path.display(), number + 1));
        let end = now + Duration::from_secs_f64(step.holds);
        while now < end {
            let decision = shown(gate.take(&step.sample, now));
            assert_eq!(decision, step.decision, "{}:{} at {now:?}", path.display(), number + 1);
            now += LOOK;
        }
    }
}

#[test]
fn every_trace_is_decided_as_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/idle");
    let traces: BTreeSet<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(traces.len() >= 12, "{traces:?}");
    traces.iter().for_each(|path| follow(path));
}

#[test]
fn a_gap_between_samples_begins_the_window_anew() {
    let idle: Sample =
        serde_json::from_str(r#"{"gpus":{"Ok":[{}]},"cpu":0,"webui":null}"#).unwrap();
    let mut gate = Gate::new(WINDOW);
    let at = Duration::from_secs_f64;
    for tenth in 0..=300 {
        gate.take(&idle, at(f64::from(tenth) / 10.0));
    }
    assert_eq!(gate.take(&idle, at(34.0)), Decision::Start);
    assert_eq!(shown(gate.take(&idle, at(3600.0))), NOT_YET, "it slept");
}

const NOT_YET: &str = "wait: the machine has not been idle for 30 s yet";
