//! The wire, byte for byte: whoever changes a line breaks the clients that are there, and has a new
//! protocol version.

mod replies;
mod samples;
mod status;

use protocol::{EntryKey, Event, Hello, Image, Request};

use samples::{building, checkpoint, id, shape, status};

#[test]
fn hellos() {
    const GOLDEN: &str = "{\"protocol\":2,\"version\":\"0.1.0\"}\n";
    let hello = Hello { protocol: 2, version: "0.1.0".into() };
    pinned::assert_json_lines("hellos.jsonl", GOLDEN, &[hello]);
    assert_eq!(protocol::VERSION, 2);
}

#[test]
fn requests() {
    let reference = || "photo.safetensors".to_owned();
    let all = [
        Request::Status,
        Request::List,
        Request::Show { reference: reference() },
        Request::Names { reference: Some(reference()) },
        Request::Names { reference: None },
        Request::Check {
            reference: Some(reference()),
            image: Image { width: 512, height: 768, batch: 1, tokens: 75, hires: Some(1.5) },
        },
        Request::Check {
            reference: None,
            image: Image { width: 512, height: 768, batch: 1, tokens: 75, hires: None },
        },
        Request::Build { reference: reference(), now: true },
        Request::Pause { seconds: None },
        Request::Pause { seconds: Some(7200.0) },
        Request::Resume,
        Request::Retry { reference: reference() },
        Request::Validate { reference: reference() },
        Request::Presets,
        Request::SetPreset { preset: samples::preset(), dry_run: true },
        Request::RemovePreset { name: "tall".into(), dry_run: false },
        Request::Materialize { reference: reference(), output: "/out/photo.engine".into() },
        Request::Shapes { signature: id('5'), shapes: vec![shape()] },
        Request::Remove { engine: "01a268".into() },
        Request::Wait { reference: Some(reference()), timeout_s: 2.5 },
        Request::Wait { reference: None, timeout_s: 60.0 },
        Request::Watch,
        Request::Verify,
        Request::VerifyCheckpoints,
        Request::WebUis,
        Request::Disk,
        Request::Pin { reference: "01a268".into() },
        Request::Unpin { reference: "01a268".into() },
        Request::Gc { dry_run: true },
        Request::Log { reference: Some("01a268".into()) },
        Request::Log { reference: None },
        Request::History,
        Request::Reload,
        Request::FindRuntime,
        Request::Pull { url: Some("file:///media/stick".into()), engines: vec!["01a268".into()] },
        Request::Pull { url: None, engines: Vec::new() },
    ];
    let golden = include_str!("requests.jsonl");
    pinned::assert_json_lines("requests.jsonl", golden, &all);
    pinned::assert_variants::<Request>(golden, "\"request\":\"?\"");
}

/// As the web UI's extension and scripts may write them.
#[test]
fn fields_that_are_absent_may_be_left_out_of_a_request() {
    let image = Image { width: 512, height: 768, batch: 1, tokens: 75, hires: None };
    for (line, request) in [
        (r#"{"request":"log"}"#, Request::Log { reference: None }),
        (r#"{"request":"pull"}"#, Request::Pull { url: None, engines: Vec::new() }),
        (r#"{"timeout_s":1,"request":"wait"}"#, Request::Wait { reference: None, timeout_s: 1.0 }),
        (
            r#"{"request":"check","image":{"width":512,"height":768,"batch":1,"tokens":75}}"#,
            Request::Check { reference: None, image },
        ),
    ] {
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), request, "{line}");
    }
}

#[test]
fn events() {
    let all = [
        Event::State { status: Box::new(status()), checkpoints: vec![checkpoint()] },
        Event::Checkpoint(checkpoint()),
        Event::Gone(EntryKey::Weights(id('9'))),
        Event::Building(building()),
        Event::Queue(status().queue),
        Event::Paused(true),
        Event::PausedUntil(Some(1_795_000_000)),
        Event::Gate(status().gate),
        Event::Gate(None),
        Event::Counts(status().counts),
        Event::Hashing(status().hashing),
        Event::Store(status().store),
        Event::Gpus(status().gpus),
        Event::GpuProblem(status().gpu_problem),
        Event::ModelsDirs(status().models_dirs),
        Event::Runtime { runtime: status().runtime, runtime_problem: None },
        Event::Troubles(status().troubles),
    ];
    let golden = include_str!("events.jsonl");
    pinned::assert_json_lines("events.jsonl", golden, &all);
    pinned::assert_variants::<Event>(golden, "\"event\":\"?\"");
}
