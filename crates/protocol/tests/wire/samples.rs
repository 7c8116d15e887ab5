//! Things that several messages hold, every field filled.

use std::sync::Arc;

use protocol::{
    Building, Checkpoint, Coming, Daemon, Engine, EntryKey, Gpu, GpuProcess, GpuReading, Hashing,
    Id, Limit, ModelsDir, Preset, Proof, Queued, Runtime, Shape, Sizes, Speed, State, Status,
    StoreStatus, Task, Timing, Unusable, Validation,
};

const STATES: [State; 11] = [
    State::Settling,
    State::Identifying,
    State::Queued,
    State::Building,
    State::Ready,
    State::Failed,
    State::Rejected,
    State::Off,
    State::Away,
    State::Orphaned,
    State::Retired,
];

/// 64 times this hex digit.
#[expect(clippy::unwrap_used, reason = "64 hex digits are an id")]
pub(crate) fn id(digit: char) -> Id {
    digit.to_string().repeat(64).parse().unwrap()
}

pub(crate) fn shape() -> Shape {
    Shape { width: 512, height: 768, batch: 2 }
}

pub(crate) fn engine() -> Engine {
    let validation = Validation {
        gpu: "NVIDIA H200".into(),
        driver: "580.95.05".into(),
        proof: Some(Proof { relative_error: Some(0.0102), bound: 0.02 }),
        unproven: None,
        proof_seconds: 6.25,
        speeds: vec![Speed {
            profile: 1,
            preset: "default".into(),
            batch: 2,
            width: 512,
            height: 768,
            tokens: 75,
            milliseconds: 14.35,
        }],
        limit: Some(Limit { pixels: 1_048_576, input: "a constant latent".into() }),
        calls: 12,
        call_seconds: 0.5,
        validated_at: 1_795_000_100,
    };
    let unproven = Validation {
        proof: None,
        unproven: Some("ONNX Runtime is not there".into()),
        speeds: Vec::new(),
        limit: None,
        ..validation.clone()
    };
    Engine {
        key: id('0'),
        state: State::Ready,
        proof: Some(Proof { relative_error: None, bound: 0.02 }),
        validations: vec![validation, unproven],
        unusable: vec![Unusable {
            gpu: "NVIDIA H200".into(),
            driver: "580.95.05".into(),
            width: 1920,
            height: 1080,
            batch: 2,
            tokens: 77,
        }],
        timings: vec![Timing {
            gpu: "NVIDIA H200".into(),
            driver: "580.95.05".into(),
            torch: "2.11.0".into(),
            front_end: "AUTOMATIC1111, sdp".into(),
            width: 512,
            height: 768,
            batch: 2,
            tokens: 154,
            engine_milliseconds: 8.75,
            torch_milliseconds: 17.5,
            noise_milliseconds: 0.25,
        }],
        path: "/data/engines/0.engine".into(),
        bytes: 26_214_400,
        presets: vec!["default".into(), "dynamic".into()],
        fixed: Some(shape()),
        shared: true,
        flavour: "tensorrt-rtx".into(),
        version: "1.7.1.116".into(),
        compute_capabilities: vec!["8.9".into(), "12.0".into()],
        outdated: Some("recipe 2 → 3".into()),
        pinned: true,
        built_at: 1_795_000_000,
        last_used: 1_795_000_200,
        orphaned_since: Some(1_795_000_300),
    }
}

pub(crate) fn checkpoint() -> Checkpoint {
    Checkpoint {
        weights_id: Some(id('9')),
        unet_id: Some(id('c')),
        architecture: Some("sdxl-inpaint".into()),
        state: State::Queued,
        reason: Some("the GPU is used".into()),
        remarks: vec!["A1111 can't load it: its UNet has other blocks than the full one; ComfyUI and Forge can".into()],
        locations: vec!["/m/a.safetensors".into(), "/m/b.ckpt".into()],
        engines: vec![Arc::new(engine())],
        coming: vec![
            Coming {
                presets: vec!["dynamic".into()],
                fixed: None,
                state: State::Failed,
                reason: Some("no room".into()),
            },
            Coming {
                presets: Vec::new(),
                fixed: Some(shape()),
                state: State::Building,
                reason: None,
            },
        ],
    }
}

/// One of which nothing is known.
pub(crate) fn unread() -> Checkpoint {
    Checkpoint {
        weights_id: None,
        unet_id: None,
        architecture: None,
        state: State::Settling,
        reason: None,
        remarks: Vec::new(),
        locations: vec!["/m/new.safetensors".into()],
        engines: Vec::new(),
        coming: Vec::new(),
    }
}

pub(crate) fn building() -> Vec<Building> {
    let one = |task, gpu| Building {
        task,
        weights_id: EntryKey::Weights(id('9')),
        preset: "default".into(),
        phase: "warm".into(),
        percent: 42,
        elapsed_s: 7,
        gpu,
    };
    vec![one(Task::Build, None), one(Task::Validate, Some(0)), one(Task::Materialize, Some(1))]
}

pub(crate) fn status() -> Status {
    Status {
        daemon: Daemon {
            version: "0.1.0".into(),
            protocol: 2,
            pid: 4242,
            uptime_s: 3600,
            data_dir: "/data".into(),
        },
        runtime: Some(Runtime {
            flavour: "tensorrt-rtx".into(),
            version: "1.7.1.116".into(),
            path: "/lib/libtensorrt_rtx.so.1".into(),
        }),
        runtime_problem: Some("it was moved".into()),
        troubles: vec!["/data is read-only".into()],
        gpus: vec![gpu()],
        gpu_problem: Some("GPU 1 can't be used".into()),
        models_dirs: vec![
            ModelsDir { path: "/m".into(), problem: None },
            ModelsDir { path: "/away".into(), problem: Some("it is not there".into()) },
        ],
        paused: true,
        paused_until: Some(1_795_000_000),
        gate: Some("paused".into()),
        queue: vec![Queued {
            weights_id: EntryKey::Weights(id('9')),
            preset: "default".into(),
            why: "no engine yet".into(),
            reason: "paused".into(),
        }],
        building: building(),
        counts: STATES.into_iter().zip(1..).collect(),
        hashing: Hashing {
            files: 3,
            bytes: 19_500_000_000,
            reading: vec!["/m/a.safetensors".into()],
        },
        store: Some(StoreStatus {
            url: "s3://bucket/sdtrt".into(),
            mode: "read-write".into(),
            problem: Some("it does not answer".into()),
            retry_at: Some(1_795_000_000),
            engines_taken: 2,
            contents_taken: 40,
            added: 3,
            refused: vec![
                "engines/01a268.sealed: nobody whom this machine trusts has signed it".into(),
            ],
        }),
    }
}

fn gpu() -> Gpu {
    Gpu {
        uuid: "GPU-0".into(),
        name: "NVIDIA H200".into(),
        compute_capability: "9.0".into(),
        reading: Some(GpuReading {
            utilisation: Some(93),
            performance_state: Some(0),
            memory_free: Some(1 << 30),
            memory_total: Some(150_754_820_096),
            processes: Some(vec![GpuProcess {
                pid: 4243,
                name: Some("blender".into()),
                compute: true,
                ours: false,
                memory: Some(2 << 30),
                utilisation: Some(90),
            }]),
            lost: Some("it has fallen off the bus".into()),
        }),
    }
}

/// With all that can be absent absent.
pub(crate) fn bare_status() -> Status {
    Status {
        runtime: None,
        runtime_problem: None,
        troubles: Vec::new(),
        gpu_problem: None,
        gpus: vec![
            Gpu { reading: None, ..gpu() },
            Gpu { reading: Some(GpuReading::default()), ..gpu() },
        ],
        models_dirs: Vec::new(),
        paused: false,
        paused_until: None,
        gate: None,
        queue: Vec::new(),
        building: Vec::new(),
        counts: [].into(),
        hashing: Hashing::default(),
        store: None,
        ..status()
    }
}

pub(crate) fn preset() -> Preset {
    let sizes = |min, opt, max| Sizes { min, opt, max };
    Preset {
        name: "tall".into(),
        width: sizes(512, 512, 512),
        height: sizes(512, 768, 1024),
        batch: sizes(1, 1, 4),
        tokens: sizes(75, 75, 150),
        controlnet: true,
    }
}
