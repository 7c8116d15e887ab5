use std::sync::Arc;

use protocol::{
    CheckpointVerdict, Coverage, Disk, Engine, ExtensionIndex, Failure, FileNames, Finished,
    Garbage, JobLog, List, Machine, Materialized, Outcome, PassCoverage, PresetChange, PresetUse,
    PullOutcome, Pulled, Reloaded, Reply, State, Sums, Task, Verdict,
};

use crate::samples::{bare_status, checkpoint, engine, id, preset, status, unread};

#[test]
fn replies() {
    let mut all = vec![
        Reply::Status(Box::new(status())),
        Reply::Status(Box::new(bare_status())),
        Reply::List(list()),
        Reply::Checkpoint(checkpoint()),
        Reply::Checkpoint(unread()),
        Reply::Names(vec![
            FileNames {
                location: "/m/a.safetensors".into(),
                weights_id: Some(id('1')),
                title: Some("Photo, v6".into()),
                picture: Some("/m/a.preview.png".into()),
                sidecars: vec!["/m/a.civitai.info".into(), "/m/a.preview.png".into()],
                sha256: Some("6".repeat(64)),
                autov1: Some("c6bbc15e".into()),
                autov2: Some("6666666666".into()),
                autov3: Some("3eaf2c2d5a1b".into()),
                crc32: Some("0f0c14a3".into()),
                blake3: Some("b".repeat(64)),
                stated_sha256: Some(format!("0x{}", "7".repeat(64))),
            },
            FileNames { location: "/m/b.ckpt".into(), ..FileNames::default() },
        ]),
        Reply::Coverage(vec![coverage()]),
        Reply::Presets(vec![preset_use()]),
        Reply::PresetChange(PresetChange {
            presets: vec![preset_use()],
            engines: 2,
            bytes: Some(3_000_000),
            seconds: Some(94),
        }),
        Reply::Materialized(Materialized { path: "/out/a.engine".into(), bytes: 7 }),
        Reply::Removed(id('0')),
        Reply::Verified(vec![
            verdict(None),
            verdict(Some("the plan has 3 bytes and not 4".into())),
        ]),
        Reply::VerifiedCheckpoints(vec![
            CheckpointVerdict { location: "/m/a".into(), weights_id: id('1'), problem: None },
            CheckpointVerdict {
                location: "/m/b".into(),
                weights_id: id('2'),
                problem: Some("it holds 333333333333 now".into()),
            },
        ]),
        Reply::WebUis(vec![ExtensionIndex {
            path: "/webui/models/Unet-trt/model.json".into(),
            kept: true,
            engines: 2,
            changes: vec!["a → b".into()],
            problem: Some("it can't be read".into()),
        }]),
        Reply::Disk(disk()),
        Reply::Engines(vec![bare_engine()]),
        Reply::Garbage(vec![Garbage {
            path: "/data/engines/0.engine".into(),
            bytes: 26_214_400,
            reason: "orphaned".into(),
        }]),
        Reply::Log(JobLog {
            engine: id('0'),
            path: "/data/logs/0.log".into(),
            text: "line 1\nline 2\n".into(),
            is_cut: true,
        }),
        Reply::History(history()),
        Reply::Reloaded(Reloaded {
            applied: vec!["presets".into()],
            needs_restart: vec!["socket".into()],
        }),
        Reply::Pulled(
            [
                (PullOutcome::Taken, None),
                (PullOutcome::Here, None),
                (PullOutcome::Left, Some("it is of TensorRT-RTX 1.6.1.120".into())),
                (PullOutcome::Refused, Some("its plan is damaged".into())),
            ]
            .map(|(outcome, reason)| Pulled {
                engine: id('0'),
                label: "sd1 default".into(),
                outcome,
                reason,
            })
            .into(),
        ),
        Reply::Noted,
    ];
    all.extend(failures().map(Reply::Failed));
    let golden = include_str!("replies.jsonl");
    pinned::assert_json_lines("replies.jsonl", golden, &all);
    pinned::assert_variants::<Reply>(golden, "\"reply\":\"?\"");
    pinned::assert_variants::<Failure>(golden, "\"kind\":\"?\"");
    pinned::assert_variants::<State>(golden, "\"?\"");
    pinned::assert_variants::<PullOutcome>(golden, "\"outcome\":\"?\"");
    pinned::assert_variants::<Task>(golden, "\"task\":\"?\"");
    pinned::assert_variants::<Outcome>(&format!("{golden}{TRIED}"), "\"outcome\":\"?\"");
}

fn preset_use() -> PresetUse {
    PresetUse { preset: preset(), builtin: false, family: "sd".into(), checkpoints: 3 }
}

/// As a former release kept it in its history.
const TRIED: &str = r#"{"engine":"0000000000000000000000000000000000000000000000000000000000000000",
    "weights_id":"9999999999999999999999999999999999999999999999999999999999999999","location":"/m/a",
    "preset":"default","outcome":"tried","reason":null,"seconds":41,"bytes":null,"ended_at":7}"#;

#[test]
fn what_was_tried_in_a_former_release_was_validated() {
    let finished: Finished = serde_json::from_str(TRIED).unwrap();
    assert_eq!(finished.outcome, Outcome::Validated);
}

/// What `sdtrtd probe` prints, which `sdtrtctl doctor` reads.
#[test]
fn machines() {
    let gpus = bare_status().gpus;
    let there = Machine {
        version: "0.1.0".into(),
        driver: Some("580.95.05".into()),
        driver_problem: Some("it is old".into()),
        driver_broken: true,
        gpus,
        runtime: status().runtime,
        runtime_problem: Some("it was moved".into()),
    };
    let bare = Machine {
        driver: None,
        driver_problem: None,
        driver_broken: false,
        gpus: Vec::new(),
        runtime: None,
        runtime_problem: None,
        ..there.clone()
    };
    pinned::assert_json_lines("machines.jsonl", include_str!("machines.jsonl"), &[there, bare]);
}

/// Two that share an engine, which is told once, and one without any.
fn list() -> List {
    let shared = Arc::new(engine());
    let own = Arc::new(bare_engine());
    let mut first = checkpoint();
    first.engines = vec![Arc::clone(&shared)];
    let mut second = checkpoint();
    second.engines = vec![own, shared];
    List(vec![first, second, unread()])
}

/// With all that can be absent absent.
fn bare_engine() -> Engine {
    Engine {
        state: State::Retired,
        proof: None,
        validations: Vec::new(),
        unusable: Vec::new(),
        timings: Vec::new(),
        presets: Vec::new(),
        fixed: None,
        shared: false,
        outdated: None,
        pinned: false,
        orphaned_since: None,
        ..engine()
    }
}

fn coverage() -> Coverage {
    let served = PassCoverage {
        pass: "base".into(),
        width: 512,
        height: 768,
        batch: 2,
        engine: Some(id('0')),
        profile: Some(1),
        preset: Some("default".into()),
        fixed: true,
        milliseconds: Some(14.35),
        single_milliseconds: Some(8.5),
        torch_milliseconds: Some(17.5),
        problem: Some("an engine is outdated".into()),
    };
    let not_served = PassCoverage {
        pass: "hires".into(),
        engine: None,
        profile: None,
        preset: None,
        fixed: false,
        milliseconds: None,
        single_milliseconds: None,
        torch_milliseconds: None,
        problem: None,
        ..served.clone()
    };
    Coverage {
        weights_id: id('9').into(),
        architecture: "sd1".into(),
        location: Some("/m/a.safetensors".into()),
        passes: vec![served, not_served],
    }
}

fn verdict(problem: Option<String>) -> Verdict {
    Verdict { key: id('0'), path: "/data/engines/0.engine".into(), problem }
}

fn disk() -> Disk {
    Disk {
        checkpoints: vec![unread()],
        sums: Sums {
            engines: 1,
            orphans: 2,
            logs: 3,
            scratch: 4,
            runtimes: 5,
            learned: 6,
            kernels: 7,
        },
        quota: Some(50_000_000_000),
        free: 8,
        min_free: 9,
    }
}

fn history() -> Vec<Finished> {
    let ended = |outcome, reason: Option<&str>, bytes| Finished {
        engine: id('0'),
        weights_id: id('9'),
        location: "/m/a.safetensors".into(),
        preset: "default".into(),
        outcome,
        reason: reason.map(str::to_owned),
        seconds: 41,
        bytes,
        ended_at: 1_795_000_000,
    };
    vec![
        ended(Outcome::Built, None, Some(26_214_400)),
        ended(Outcome::Validated, None, None),
        ended(Outcome::Failed, Some("no room"), None),
        ended(Outcome::Abandoned, Some("the GPU is used"), None),
        ended(Outcome::Fetched, None, Some(26_214_400)),
    ]
}

fn failures() -> [Failure; 5] {
    let reference = || "photo".to_owned();
    [
        Failure::NotFound { reference: reference(), similar: vec!["photos".into()] },
        Failure::Ambiguous { reference: reference(), candidates: vec!["a".into(), "b".into()] },
        Failure::TimedOut { seconds: 2.5, what: "a.safetensors is queued".into() },
        Failure::Malformed { message: "expected value at line 1 column 1".into() },
        Failure::Other { message: "the disk is full".into() },
    ]
}
