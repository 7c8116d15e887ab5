//! How the program ends when it can't even ask.

mod common;

use std::{fs, io::Read, process::Stdio};

use common::{FakeDaemon, alone, ctl, entry, run, utf8};
use protocol::{List, Reply, State};

#[test]
fn what_is_not_understood_ends_with_2() {
    for args in [
        &["lists"][..],
        &["show"],
        &["list", "extra"],
        &["wait", "--timeout", "-1"],
        &["wait", "--timeout", "soon"],
        &["export", "x.safetensors"],
        &["export", "x.safetensors", "--output", "o", "--precision", "int8"],
        &["runtime"],
    ] {
        let outcome = alone(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(outcome.stderr.contains("Usage:") || outcome.stderr.contains("--help"), "{args:?}");
    }
}

#[test]
fn no_daemon_ends_with_3_and_says_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = dir.path().join("nobody");
    for args in [
        &["status"][..],
        &[],
        &["list", "--json"],
        &["show", "x"],
        &["build", "x"],
        &["retry", "x"],
        &["pause"],
        &["resume"],
        &["remove", "x"],
        &["wait"],
        &["watch"],
        &["verify"],
        &["disk"],
        &["pin", "x"],
        &["unpin", "x"],
        &["gc"],
    ] {
        let outcome = run(ctl(args).env("SDTRT_SOCKET", &nobody));
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""), "{args:?}");
        assert!(outcome.stderr.contains(utf8(&nobody)), "{}", outcome.stderr);
        // Who types no command is told what to do next.
        let lines = if args.is_empty() { 4 } else { 1 };
        assert_eq!(outcome.stderr.lines().count(), lines, "{}", outcome.stderr);
        assert!(
            outcome.stderr.starts_with("sdtrtctl: no sdtrtd is listening"),
            "{}",
            outcome.stderr
        );
    }
    let other = FakeDaemon::greeting("220 mail.example ESMTP");
    assert_eq!(other.ctl(&["status"]).code, Some(3));
}

#[test]
fn another_version_ends_with_4_and_names_both() {
    let newer = FakeDaemon::greeting("{\"protocol\":4000,\"version\":\"9.8.7\"}");
    let outcome = newer.ctl(&["status", "--json"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(4), ""));
    assert!(outcome.stderr.contains("9.8.7"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("4000"), "{}", outcome.stderr);
}

#[test]
fn the_socket_is_found_in_the_order_flag_variable_configuration() {
    let daemon = FakeDaemon::replying((0..4).map(|_| Reply::List(List::default())));
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("sdtrt")).unwrap();
    let file = home.path().join("sdtrt/sdtrtd.toml");
    fs::write(&file, format!("socket = '{}'", daemon.socket().display())).unwrap();

    assert_eq!(run(ctl(&["list"]).env("XDG_CONFIG_HOME", home.path())).code, Some(0));
    assert_eq!(run(ctl(&["list"]).env("SDTRT_CONFIG", &file)).code, Some(0));
    let socket = daemon.socket();
    let mut by_variable = ctl(&["list", "--config", "/nowhere.toml"]);
    assert_eq!(run(by_variable.env("SDTRT_SOCKET", &socket)).code, Some(0));
    let mut by_flag = ctl(&["list", "--socket", utf8(&socket)]);
    assert_eq!(run(by_flag.env("SDTRT_SOCKET", "/nowhere")).code, Some(0));

    let missing = alone(&["list", "--config", "/nowhere.toml"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere.toml"), "{}", missing.stderr);
    fs::write(&file, "socket = 3").unwrap();
    let broken = run(ctl(&["list"]).env("XDG_CONFIG_HOME", home.path()));
    assert_eq!(broken.code, Some(1));
    assert!(broken.stderr.contains("sdtrtd.toml"), "{}", broken.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    // More than a pipe holds, so that the rest finds it closed.
    let many = vec![entry("/m/x.safetensors", State::Ready, None); 5_000];
    for args in [&["list"][..], &["list", "--json"]] {
        let daemon = FakeDaemon::replying([Reply::List(List(many.clone()))]);
        let mut child = ctl(args)
            .arg("--socket")
            .arg(daemon.socket())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
    }
}
