//! How the programs report problems.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
};

use end_to_end::{Daemon, Workplace};
use protocol::State;
use serde_json::json;

#[test]
fn commands_that_need_a_daemon_say_so() {
    let w = Workplace::new();
    for command in ["status", "list", "verify", "wait", "watch"] {
        let answer = w.ctl(&[command]);
        assert_eq!(answer.code, 3, "{command}: {answer:?}");
        assert!(answer.stderr.contains("sdtrtd"), "{command}: {answer:?}");
    }
    assert_eq!(w.ctl(&["no-such-command"]).code, 2);
}

#[test]
fn a_file_is_identified_without_a_daemon_as_with_one() {
    let w = Workplace::new();
    let path = w.write_checkpoint("a.safetensors", 1);
    let alone = w.ctl(&["identify".as_ref(), path.as_os_str(), "--json".as_ref()]).json();
    let _daemon = w.daemon();
    let entry = w.only();
    assert_eq!(alone["weights_id"], json!(entry.weights_id));
    assert_eq!(alone["unet_id"], json!(entry.unet_id));
    assert_eq!(alone["architecture"], "sd1");
}

#[test]
fn the_socket_is_for_its_user_alone_and_speaks_one_version() {
    let w = Workplace::new();
    let _daemon = w.daemon();
    let mode = fs::metadata(w.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let talk = |said: &str| -> Vec<String> {
        let mut stream = w.connect();
        stream.write_all(said.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        BufReader::new(stream).lines().map(Result::unwrap).collect()
    };
    let newer = talk("{\"protocol\":4000,\"version\":\"9\"}\n{\"request\":\"status\"}\n");
    assert_eq!(newer.len(), 1, "only its own hello: {newer:?}");
    let hello = newer[0].clone() + "\n";
    let mixed = talk(&format!("{hello}nonsense\n{{\"request\":\"list\"}}\n"));
    assert!(mixed[1].contains("malformed"), "{mixed:?}");
    assert!(mixed[2].contains("\"list\""), "{mixed:?}");
    let endless = talk(&format!("{hello}{}", "x".repeat(protocol::REQUEST_LIMIT + 1)));
    assert_eq!(endless.len(), 1, "{endless:?}");
}

#[test]
fn a_second_daemon_is_refused_but_not_after_a_killed_one() {
    let w = Workplace::new();
    let first = w.daemon();
    let second = w.sdtrtd().output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another sdtrtd"));

    Daemon::kill(first.pid());
    drop(first);
    assert!(w.socket().exists(), "it is left behind");
    assert_eq!(w.ctl(&["status"]).code, 3);
    let _third = w.daemon();
    assert_eq!(w.ctl(&["status"]).code, 0);
}

#[test]
fn an_invalid_configuration_is_refused_with_the_reason() {
    let w = Workplace::new();
    let file = w.path("sdtrtd.toml");
    for (text, said) in [
        ("models_dirs = [", "sdtrtd.toml"),
        ("model_dirs = ['/m']", "model_dirs"),
        ("compute_capabilities = ['sm_89']", "8.9"),
        ("[[rules]]\narchitecture = 'sdx'", "sdxl-inpaint"),
    ] {
        fs::write(&file, text).unwrap();
        let output = w.sdtrtd().arg("--config").arg(&file).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(said), "{text}: {stderr}");
    }
}

#[test]
fn a_missing_tensorrt_is_reported_with_the_remedy() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let _daemon = w.daemon();
    let waited = w.ctl(&["wait", "a", "--timeout", "60"]);
    assert_eq!(waited.code, 1, "{waited:?}");
    assert!(waited.stderr.contains("TensorRT"), "{waited:?}");
    let entry = w.only();
    assert_eq!(entry.state, State::Queued);
    assert!(entry.reason.unwrap().contains("libtensorrt_rtx"));
}

#[test]
fn a_tensorrt_that_cannot_be_loaded_is_reported() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    fs::write(w.path("no-runtime/libtensorrt_rtx.so.1"), "not a library").unwrap();
    let _daemon = w.daemon();
    let status = {
        w.settled_list();
        w.ctl(&["status", "--json"]).json()
    };
    assert!(status["runtime"].is_null());
    assert!(status["runtime_problem"].as_str().unwrap().contains("no-runtime"), "{status}");
}

#[test]
fn waiting_ends_in_time() {
    let w = Workplace::new();
    let _daemon = w.daemon();
    assert_eq!(w.ctl(&["wait", "--timeout", "60"]).code, 0, "there is nothing to do");
    let never = w.ctl(&["wait", "never-comes", "--timeout", "0.3"]);
    assert_eq!(never.code, 1);
    assert!(never.stderr.contains("never-comes"), "{never:?}");
}

#[test]
fn unknown_and_ambiguous_references_are_distinguished() {
    let w = Workplace::new();
    w.write_checkpoint("one/same.safetensors", 1);
    w.write_checkpoint("two/same.safetensors", 2);
    let _daemon = w.daemon();
    w.settled_list();
    assert!(w.ctl(&["show", "same"]).stderr.contains("ambiguous"));
    assert!(w.ctl(&["show", "other"]).stderr.contains("other"));
    let path = w.model("one/same.safetensors");
    let shown = w.ctl(&["show".as_ref(), path.as_os_str(), "--json".as_ref()]).json();
    let id = shown["weights_id"].as_str().unwrap();
    assert_eq!(w.ctl(&["show", &id[..8], "--json"]).json(), shown);
}
