//! The daemon as a service, with the test as its service manager.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    thread,
};

use end_to_end::{Signal, Workplace};
use protocol::State;

#[test]
fn the_service_manager_is_notified_of_every_state() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let mut command = w.sdtrtd();
    command.env("WATCHDOG_USEC", "100000");
    let no_runtime = w.path("no-runtime");
    let mut daemon = w.run(command, &["--tensorrt-dir", no_runtime.to_str().unwrap()]);
    let status = daemon.hear("STATUS=");
    assert!(status.contains("TensorRT"), "{status}");
    for _ in 0..3 {
        daemon.hear("WATCHDOG=1");
    }
    assert_eq!(w.only().state, State::Queued);
    let is_queued = (0..100).any(|_| daemon.hear("STATUS=").ends_with("; 1 queued"));
    assert!(is_queued, "it tells something else all the time");
    daemon.terminate();
    daemon.hear("STOPPING=1");
    assert_eq!(daemon.stop(), Some(0));
    assert!(!w.socket().exists());
}

#[test]
fn a_socket_that_somebody_deletes_is_made_again() {
    let w = Workplace::new();
    let daemon = w.daemon();
    let is_served = || while w.ctl(&["status"]).code != 0 {};
    fs::remove_file(w.socket()).unwrap();
    is_served();
    assert_eq!(daemon.stop(), Some(0));
    assert!(!w.socket().exists());
}

#[test]
fn an_inherited_socket_is_served_and_not_removed() {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    let listener = UnixListener::bind(w.socket()).unwrap();
    for _ in 0..2 {
        thread::scope(|scope| {
            // It connects before there is a daemon.
            let asking = scope.spawn(|| w.ctl(&["status", "--json"]));
            let daemon = w.socket_activated_daemon(&listener);
            let status = asking.join().unwrap();
            assert_eq!(status.json()["daemon"]["pid"], daemon.pid());
            assert_eq!(daemon.stop(), Some(0));
        });
        assert!(w.socket().exists(), "it is the service manager's");
    }
}

#[test]
fn the_configuration_is_reloaded_and_metrics_are_served() {
    let w = Workplace::new();
    let config = w.path("sdtrtd.toml");
    let configure = |quota: &str| {
        fs::write(&config, format!("quota = {quota}\nmetrics = '127.0.0.1:0'")).unwrap();
    };
    configure("'5 GB'");
    let mut daemon = w.idle_daemon_with(&["--config", config.to_str().unwrap()]);
    let quota = || w.ctl(&["disk", "--json"]).json()["quota"].clone();
    assert_eq!(quota(), 5_000_000_000_u64);
    for (text, expected) in [("'7 GB'", 7_000_000_000_u64), ("'7 apples'", 7_000_000_000)] {
        configure(text);
        daemon.signal(Signal::HUP);
        daemon.hear("RELOADING=1");
        daemon.hear("READY=1");
        assert_eq!(quota(), expected, "{text}");
    }

    let log = fs::read_to_string(w.path("sdtrtd.log")).unwrap();
    assert!(log.contains("7 apples"), "{log}");
    let url = log.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(url).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(answer.contains("\nsdtrtd_queue 0\n"), "{answer}");
}

/// systemd's own verdict on the units. Machines without systemd do not need them.
#[test]
fn the_units_are_valid_and_sandboxed() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is missing");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for manager in ["user", "system"] {
        for unit in ["sdtrtd.service", "sdtrtd.socket"] {
            let text = fs::read_to_string(units.join(manager).join(unit)).unwrap();
            // Neither the programs nor the manual need be installed.
            let text = text.replace("%h/.local/bin/sdtrtd", "/bin/true");
            let text = text.replace("%h/.local/bin/sdtrtctl", "/bin/true");
            let text = text.replace("/usr/bin/sdtrtctl", "/bin/true");
            let text = text.replace("ExecStart=/usr/bin/sdtrtd", "ExecStart=/bin/true");
            fs::write(dir.path().join(unit), text).unwrap();
        }
        let analyze = |arguments: &[&str]| {
            let output = Command::new("systemd-analyze")
                .args(arguments)
                .arg(format!("--{manager}"))
                .args(["sdtrtd.service", "sdtrtd.socket"].map(|unit| dir.path().join(unit)))
                .env("XDG_RUNTIME_DIR", dir.path())
                .output()
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        };
        let (valid, said) = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
        assert!(valid && said.is_empty(), "{manager}: {said}");
    }
    let locked = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=30"])
        .arg(units.join("system/sdtrtd.service"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&locked.stdout);
    assert!(locked.status.success(), "{}", said.lines().last().unwrap_or_default());
}
