use checkpoint::Id;

use super::*;
use crate::{Daemon, GpuReading, Task};

fn id(digit: char) -> Id {
    digit.to_string().repeat(64).parse().unwrap()
}

fn status() -> Status {
    Status {
        daemon: Daemon {
            version: "0.1.0".into(),
            protocol: crate::VERSION,
            pid: 7,
            uptime_s: 1,
            data_dir: "/data".into(),
        },
        runtime: None,
        runtime_problem: Some("not found".into()),
        troubles: Vec::new(),
        gpus: Vec::new(),
        gpu_problem: None,
        models_dirs: Vec::new(),
        paused: false,
        gate: None,
        queue: Vec::new(),
        building: Vec::new(),
        counts: BTreeMap::new(),
        hashing: Hashing::default(),
    }
}

fn building(percent: u8, elapsed_s: u64) -> Building {
    Building {
        task: Task::Build,
        weights_id: id('a').into(),
        preset: "default".into(),
        phase: "build".into(),
        percent,
        elapsed_s,
        gpu: None,
    }
}

fn entry(digit: char, state: State) -> Checkpoint {
    Checkpoint {
        weights_id: Some(id(digit)),
        unet_id: None,
        architecture: None,
        state,
        reason: None,
        remarks: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        coming: Vec::new(),
    }
}

fn keyed(entries: &[Checkpoint]) -> BTreeMap<EntryKey, Checkpoint> {
    entries.iter().map(|entry| (entry.key(), entry.clone())).collect()
}

/// Changes one thing.
type Change = fn(&mut Status);

/// A status that differs from `status()` in one thing each.
fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("runtime", |s| {
            s.runtime_problem = None;
            s.runtime = Some(Runtime {
                flavour: "tensorrt-rtx".into(),
                version: "1.7.1.116".into(),
                path: "/lib".into(),
            });
        }),
        ("gpus", |s| {
            s.gpus = vec![Gpu {
                uuid: "GPU-1".into(),
                name: "NVIDIA H200".into(),
                compute_capability: "9.0".into(),
                reading: Some(GpuReading::default()),
            }];
        }),
        ("gpu_problem", |s| s.gpu_problem = Some("lost".into())),
        ("models_dirs", |s| s.models_dirs = vec![ModelsDir { path: "/m".into(), problem: None }]),
        ("troubles", |s| s.troubles = vec!["the disk is read-only".into()]),
        ("paused", |s| s.paused = true),
        ("gate", |s| s.gate = Some("paused".into())),
        ("queue", |s| {
            s.queue = vec![Queued {
                weights_id: id('a').into(),
                preset: "default".into(),
                why: "no engine yet".into(),
                reason: "next".into(),
            }];
        }),
        ("building", |s| s.building = vec![building(1, 0)]),
        ("hashing", |s| s.hashing = Hashing { files: 1, bytes: 2, reading: vec!["/m/a".into()] }),
        ("counts", |s| s.counts = [(State::Ready, 1)].into()),
    ]
}

#[test]
fn every_change_of_a_status_is_an_event_and_its_reader_ends_up_with_the_same() {
    for (what, change) in changes() {
        let mut now = status();
        change(&mut now);
        let events = now.since(&status());
        assert_eq!(events.len(), 1, "{what}");
        let tag = serde_json::to_value(&events[0]).unwrap()["event"].clone();
        assert_eq!(tag, what);
        for (from, to) in [(&status(), &now), (&now, &status())] {
            let mut overview = Overview::default();
            overview.apply(Event::State { status: from.clone().into(), checkpoints: Vec::new() });
            for event in to.since(from) {
                // As it arrives.
                let wire = serde_json::to_string(&event).unwrap();
                overview.apply(serde_json::from_str(&wire).unwrap());
            }
            assert_eq!(overview.status.as_deref(), Some(to), "{what}");
        }
    }
}

/// Fails to compile where `Status` has a field that `since` knows nothing of, and fails where no case has it.
#[test]
fn no_field_of_a_status_is_forgotten() {
    let Status {
        daemon: _, // Its identity, and the time that passes.
        runtime,
        runtime_problem,
        troubles,
        gpus,
        gpu_problem,
        models_dirs,
        paused,
        gate,
        queue,
        building,
        counts,
        hashing,
    } = changes().into_iter().fold(status(), |mut all, (_, change)| {
        change(&mut all);
        all
    });
    let before = status();
    assert_ne!((runtime, runtime_problem), (before.runtime, before.runtime_problem));
    assert_ne!(gpu_problem, before.gpu_problem);
    assert!(gpus != before.gpus && models_dirs != before.models_dirs && paused != before.paused);
    assert!(gate != before.gate && queue != before.queue && building != before.building);
    assert!(counts != before.counts && hashing != before.hashing);
    assert_ne!(troubles, before.troubles);
}

#[test]
fn time_that_passes_is_no_event() {
    let at =
        |percent, elapsed_s| Status { building: vec![building(percent, elapsed_s)], ..status() };
    let mut later = at(5, 60);
    later.daemon.uptime_s = 61;
    assert_eq!(later.since(&at(5, 1)), []);
    assert_eq!(later.since(&at(4, 1)), [Event::Building(vec![building(5, 60)])]);
}

#[test]
fn a_list_is_followed_by_its_changes() {
    let before =
        keyed(&[entry('a', State::Queued), entry('b', State::Ready), entry('c', State::Ready)]);
    let now =
        keyed(&[entry('a', State::Ready), entry('b', State::Ready), entry('d', State::Queued)]);
    let changes = list_changes(&before, &now);
    let expected = [
        Event::Checkpoint(entry('a', State::Ready)),
        Event::Checkpoint(entry('d', State::Queued)),
        Event::Gone(EntryKey::Weights(id('c'))),
    ];
    assert_eq!(changes, expected);
    let mut overview = Overview::default();
    let checkpoints = before.into_values().collect();
    overview.apply(Event::State { status: status().into(), checkpoints });
    changes.into_iter().for_each(|event| overview.apply(event));
    assert_eq!(overview.checkpoints, now);
}

#[test]
fn before_everything_was_told_a_change_means_nothing() {
    let mut overview = Overview::default();
    overview.apply(Event::Checkpoint(entry('a', State::Ready)));
    overview.apply(Event::Paused(true));
    assert_eq!(overview, Overview::default());
}
