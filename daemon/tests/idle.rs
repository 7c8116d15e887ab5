//! The idle policy on recorded and synthetic traces; `tests/idle/README.md` says where they are from.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sdtrtd::gate::{Decision, Gates, Sample};
use serde::{Deserialize, de::DeserializeOwned};

const WINDOW: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(500);

/// The decisions, and the second at which each begins.
type Decisions = &'static [(f64, &'static str)];

/// The recorded traces, the seconds of idleness required, and the expected decisions.
const RECORDED: &[(&str, u64, Decisions)] = &[
    // PyTorch with a tensor on the GPU and nothing to do, like an open web UI.
    (
        "gpu_held_without_work",
        5,
        &[(0.0, "wait: waits until the machine has been idle for 5 s"), (5.0, "start")],
    ),
    (
        "gpu_idle",
        5,
        &[(0.0, "wait: waits until the machine has been idle for 5 s"), (5.0, "start")],
    ),
    // PyTorch from second 5 on, multiplying matrices from 9.2 to 17.4.
    (
        "gpu_load",
        5,
        &[
            (0.0, "wait: waits until the machine has been idle for 5 s"),
            (5.0, "start"),
            (9.5, "stop: waits until GPU 0 is idle: used by python3 (pid 3603)"),
            (17.5, "wait: waits until the machine has been idle for 5 s"),
        ],
    ),
    // Two busy loops in a shell for nine seconds.
    ("no_gpu", 30, &[(0.0, "start"), (7.5, "wait: waits until the CPU is idle"), (16.5, "start")]),
];

/// A line of a recorded trace.
#[derive(Deserialize)]
struct Look {
    /// Seconds since the first line.
    at: f64,
    #[serde(flatten)]
    sample: Sample,
}

/// A line of a synthetic trace: it is sampled twice a second, with the same decision each time.
#[derive(Deserialize)]
struct Step {
    /// The trace's name; its lines follow each other.
    trace: String,
    /// How many seconds it holds.
    holds: f64,
    #[serde(flatten)]
    sample: Sample,
    /// The decision of each GPU's gate.
    decisions: Vec<String>,
}

#[test]
fn every_recorded_trace_gives_the_expected_decisions() {
    let names: BTreeSet<_> = recorded().iter().map(|path| name(path)).collect();
    let expected: BTreeSet<_> = RECORDED.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names, expected);
    for (name, window, expected) in RECORDED {
        let path = folder("recorded").join(name).with_extension("jsonl");
        let mut gates = None;
        let mut decisions: Vec<(f64, String)> = Vec::new();
        for look in lines::<Look>(&path) {
            let window = Duration::from_secs(*window);
            let gates = gates.get_or_insert_with(|| gates_for(&look.sample, window));
            let taken = gates.take(&look.sample, Duration::from_secs_f64(look.at));
            let [decision] = &taken[..] else { panic!("{name}: {taken:?}") };
            let decision = awaited(decision);
            if decisions.last().is_none_or(|(_, last)| *last != decision) {
                decisions.push((look.at, decision));
            }
        }
        let decisions: Vec<_> = decisions.iter().map(|(at, text)| (*at, text.as_str())).collect();
        assert_eq!(decisions, *expected, "{name}");
    }
}

#[test]
fn every_synthetic_trace_gives_its_decisions() {
    let steps = lines::<Step>(&folder("made.jsonl"));
    let traces: Vec<_> = steps.chunk_by(|one, next| one.trace == next.trace).collect();
    assert!(traces.len() >= 12, "{}", traces.len());
    for trace in traces {
        let mut gates = gates_for(&trace[0].sample, WINDOW);
        let mut now = Duration::from_secs(1000);
        for (number, step) in trace.iter().enumerate() {
            let end = now + Duration::from_secs_f64(step.holds);
            while now < end {
                let taken = gates.take(&step.sample, now);
                let decisions: Vec<_> = taken.iter().map(shown).collect();
                assert_eq!(decisions, step.decisions, "{}:{} at {now:?}", step.trace, number + 1);
                now += LOOK;
            }
        }
    }
}

#[test]
fn a_gap_between_samples_restarts_the_window() {
    let idle: Sample =
        serde_json::from_str(r#"{"gpus":{"Ok":[{}]},"cpu":0,"webui":null}"#).unwrap();
    let mut gates = gates_for(&idle, WINDOW);
    let at = Duration::from_secs_f64;
    for tenth in 0..=300 {
        gates.take(&idle, at(f64::from(tenth) / 10.0));
    }
    assert_eq!(gates.take(&idle, at(34.0)), [Decision::Start]);
    let slept = gates.take(&idle, at(3600.0));
    assert_eq!(shown(&slept[0]), "wait: the machine has not been idle for 30 s yet");
}

fn gates_for(sample: &Sample, window: Duration) -> Gates {
    Gates::new(sample.gpus.as_ref().map_or(0, Vec::len), window)
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/idle").join(name)
}

fn recorded() -> BTreeSet<PathBuf> {
    fs::read_dir(folder("recorded")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn name(trace: &Path) -> String {
    trace.file_stem().unwrap().to_string_lossy().into_owned()
}

fn lines<T: DeserializeOwned>(trace: &Path) -> Vec<T> {
    let text = fs::read_to_string(trace).unwrap();
    let lines = text.lines().enumerate();
    let read = |(number, line)| {
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", trace.display(), number + 1))
    };
    lines.map(read).collect()
}

/// The decision with its current figures.
fn shown(decision: &Decision) -> String {
    match decision {
        Decision::Start => "start".to_owned(),
        Decision::Wait(reason) => format!("wait: {reason}"),
        Decision::Stop(reason) => format!("stop: {reason}"),
    }
}

/// The decision, the same as long as its cause is.
fn awaited(decision: &Decision) -> String {
    match decision {
        Decision::Start => "start".to_owned(),
        Decision::Wait(reason) => format!("wait: {}", reason.awaited()),
        Decision::Stop(reason) => format!("stop: {}", reason.awaited()),
    }
}
