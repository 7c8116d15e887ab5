//! What a daemon might know, for the tests of all that is rendered.

use std::sync::Arc;

use protocol::{
    Building, Checkpoint, Daemon, Engine, EntryKey, Gpu, GpuProcess, GpuReading, Id, ModelsDir,
    Proof, Queued, Runtime, Shape, Speed, State, Status, Task, Timing, Validation,
};

pub(crate) fn id(digit: char) -> Id {
    digit.to_string().repeat(64).parse().unwrap()
}

pub(crate) fn engine(digit: char) -> Engine {
    Engine {
        key: id(digit),
        state: State::Ready,
        proof: None,
        validations: Vec::new(),
        unusable: Vec::new(),
        timings: Vec::new(),
        path: format!("/data/engines/{digit}.engine"),
        bytes: 1_712_345_678,
        presets: vec!["default".into()],
        fixed: None,
        shared: false,
        flavour: "tensorrt-rtx".into(),
        version: "1.7.1.116".into(),
        compute_capabilities: vec!["8.9".into(), "12.0".into()],
        outdated: None,
        pinned: false,
        built_at: 1_000_000,
        last_used: 1_090_000,
        orphaned_since: None,
    }
}

pub(crate) fn timing() -> Timing {
    Timing {
        gpu: "NVIDIA H200".into(),
        driver: "580.65.06".into(),
        torch: "2.11.0".into(),
        front_end: "AUTOMATIC1111, sdp".into(),
        width: 512,
        height: 512,
        batch: 2,
        tokens: 77,
        engine_milliseconds: 8.96,
        torch_milliseconds: 17.92,
        noise_milliseconds: 0.2,
    }
}

pub(crate) fn validation() -> Validation {
    let speed = |pixels, batch, tokens, milliseconds| Speed {
        profile: 0,
        preset: "default".into(),
        batch,
        width: pixels,
        height: pixels,
        tokens,
        milliseconds,
    };
    Validation {
        gpu: "NVIDIA H200".into(),
        driver: "580.65.06".into(),
        proof: Some(Proof { relative_error: Some(0.0102), bound: 0.02 }),
        unproven: None,
        proof_seconds: 6.25,
        speeds: vec![speed(512, 2, 77, 14.04), speed(768, 8, 154, 103.4)],
        limit: None,
        calls: 24,
        call_seconds: 1.25,
        validated_at: 1_000_100,
    }
}

pub(crate) fn ready() -> Checkpoint {
    Checkpoint {
        weights_id: Some(id('a')),
        unet_id: Some(id('b')),
        architecture: Some("sd1".into()),
        state: State::Ready,
        reason: None,
        remarks: Vec::new(),
        locations: vec!["/models/a/sd15.safetensors".into(), "/models/copy.safetensors".into()],
        engines: [engine('e')].map(Arc::new).into(),
        coming: vec![],
    }
}

/// Of which no more than the header was read.
pub(crate) fn hashing() -> Checkpoint {
    Checkpoint {
        weights_id: None,
        unet_id: None,
        remarks: Vec::new(),
        locations: vec!["/models/new.safetensors".into()],
        ..ready()
    }
}

/// A shared engine for one shape.
pub(crate) fn fixed(digit: char) -> Engine {
    Engine {
        presets: vec![],
        fixed: Some(Shape { width: 512, height: 768, batch: 2 }),
        shared: true,
        bytes: 21_000_000,
        ..engine(digit)
    }
}

pub(crate) fn rejected() -> Checkpoint {
    Checkpoint {
        weights_id: None,
        unet_id: None,
        architecture: None,
        state: State::Rejected,
        reason: Some("is a LoRA, which has no UNet of its own".into()),
        remarks: Vec::new(),
        locations: vec!["/models/evil\u{1b}]0;x\u{7}.safetensors".into()],
        engines: vec![],
        coming: vec![],
    }
}

pub(crate) fn orphaned() -> Checkpoint {
    Checkpoint { state: State::Orphaned, locations: vec![], ..ready() }
}

pub(crate) fn building() -> Building {
    Building {
        task: Task::Build,
        weights_id: EntryKey::Weights(id('a')),
        preset: "default".into(),
        phase: "build".into(),
        percent: 42,
        elapsed_s: 60,
        gpu: Some(0),
    }
}

pub(crate) fn status() -> Status {
    Status {
        daemon: Daemon {
            version: "0.1.0".into(),
            protocol: 2,
            pid: 4711,
            uptime_s: 3_725,
            data_dir: "/data".into(),
        },
        runtime: Some(Runtime {
            flavour: "tensorrt-rtx".into(),
            version: "1.7.1.116".into(),
            path: "/data/runtime/1.7.1.116/libtensorrt_rtx.so.1".into(),
        }),
        gpus: vec![Gpu {
            uuid: "GPU-1".into(),
            name: "NVIDIA GeForce RTX 4090".into(),
            compute_capability: "8.9".into(),
            reading: Some(GpuReading {
                utilisation: Some(87),
                performance_state: Some(2),
                memory_free: Some(19_300_000_000),
                memory_total: Some(24_000_000_000),
                processes: Some(vec![
                    GpuProcess {
                        pid: 4242,
                        name: Some("python".into()),
                        compute: true,
                        ..GpuProcess::default()
                    },
                    GpuProcess { pid: 1204, name: Some("Xorg".into()), ..GpuProcess::default() },
                ]),
                lost: None,
            }),
        }],
        models_dirs: vec![
            ModelsDir { path: "/models".into(), problem: None },
            ModelsDir { path: "/mnt/nas".into(), problem: Some("does not exist".into()) },
        ],
        gate: Some("GPU 0 is at 87 %, used by python (pid 4242)".into()),
        queue: vec![Queued {
            weights_id: EntryKey::Weights(id('c')),
            preset: "default".into(),
            why: "recipe 1 → 2".into(),
            reason: "next, after aaaaaaaaaaaa".into(),
        }],
        building: vec![building()],
        counts: [(State::Ready, 3), (State::Queued, 1)].into(),
        ..Status::default()
    }
}
