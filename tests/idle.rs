//! Builds that wait, and what overrides waiting.
#![allow(clippy::unwrap_used)]

use end_to_end::{WebUi, Workplace};
use protocol::State;

#[test]
fn a_pause_survives_a_restart() {
    let w = Workplace::new();
    let daemon = w.daemon();
    let paused = |expected: bool| {
        let status = w.ctl(&["status", "--json"]).json();
        assert_eq!(status["paused"], expected, "{status}");
        assert_eq!(status["gate"].as_str().is_some_and(|gate| gate.contains("resume")), expected);
    };
    paused(false);
    assert_eq!(w.ctl(&["pause"]).code, 0);
    paused(true);
    assert_eq!(daemon.stop(), Some(0));
    let daemon = w.daemon();
    paused(true);
    assert_eq!(w.ctl(&["resume"]).code, 0);
    paused(false);
    assert_eq!(daemon.stop(), Some(0));
    let _daemon = w.daemon();
    paused(false);
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn during_a_pause_only_urgent_requests_are_built() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    w.write_checkpoint("b.safetensors", 2);
    let daemon = w.building_daemon();
    assert_eq!(w.ctl(&["pause"]).code, 0);
    let waited = w.ctl(&["wait", "--timeout", "60"]);
    assert_eq!(waited.code, 1, "{waited:?}");
    assert!(waited.stderr.contains("sdtrtctl resume"), "{waited:?}");
    assert_eq!(daemon.workers().len(), 0, "a build that had begun is ended");
    assert_eq!(daemon.stop(), Some(0));

    let _daemon = w.building_daemon();
    assert_eq!(w.ctl(&["wait", "--timeout", "60"]).code, 1);
    assert!(w.list().iter().all(|entry| entry.state == State::Queued), "{:#?}", w.list());
    assert_eq!(w.ctl(&["build", "a", "--now"]).code, 0);
    assert_eq!(w.ctl(&["wait", "a"]).code, 0);
    let mut watching = w.watch();
    watching.until("only a was built", |seen| {
        let state = |name| seen.at(&w.model(name)).map(|entry| entry.state);
        state("a.safetensors") == Some(State::Ready)
            && state("b.safetensors") == Some(State::Queued)
    });
    assert_eq!(w.ctl(&["resume"]).code, 0);
    watching.until("b is built for", |seen| seen.building().is_some());
}

#[test]
#[ignore = "needs TensorRT-RTX: cargo xtask test"]
fn builds_wait_while_a_web_ui_generates_images() {
    let w = Workplace::new();
    let webui = WebUi::with_jobs(1);
    let path = w.write_checkpoint("a.safetensors", 1);
    let used = w.write_checkpoint("used.safetensors", 2);
    w.write_checkpoint("newest.safetensors", 3);
    let _daemon = w.building_daemon_with(&[
        "--build",
        "when-idle",
        "--idle-seconds",
        "0.1",
        "--webui-url",
        webui.url(),
    ]);
    let mut watching = w.watch();
    let waits_for_it = |entry: &protocol::Checkpoint| {
        entry.state == State::Queued
            && entry.reason.as_ref().is_some_and(|reason| reason.contains("the web UI"))
    };
    watching.until("it is used and waits first", |seen| seen.at(&used).is_some_and(waits_for_it));
    let status = w.ctl(&["status"]);
    assert!(status.stdout.contains("closed: the web UI makes images"), "{status:?}");

    assert_eq!(w.ctl(&["build", "a", "--now"]).code, 0);
    watching.until("a is built", |seen| {
        seen.at(&path).is_some_and(|entry| entry.state == State::Ready)
    });
    assert!(watching.at(&used).is_some_and(waits_for_it), "{:#?}", watching.checkpoints());

    webui.set_jobs(0);
    // Other load on this machine may still make it wait.
    watching.until("it no longer waits for the web UI", |seen| {
        !seen.at(&used).is_some_and(waits_for_it)
    });
}
