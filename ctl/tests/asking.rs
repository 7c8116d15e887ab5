//! Each question to the daemon, and what its answer becomes.

mod common;

use common::{FakeDaemon, ctl, entry, id, json, run, status};
use protocol::{
    Building, Disk, Event, Failure, Finished, Garbage, Image, JobLog, List, Materialized, Outcome,
    Reloaded, Reply, Request, State, Sums, Task, Verdict,
};

fn disk() -> Disk {
    let sums = Sums { engines: 7, ..Sums::default() };
    Disk { checkpoints: vec![], sums, quota: Some(9), free: 1, min_free: 2 }
}

fn finished() -> Finished {
    Finished {
        engine: id("ef"),
        weights_id: id("ab"),
        location: "/m/a.safetensors".into(),
        preset: "default".into(),
        outcome: Outcome::Failed,
        reason: Some("the disk is full".into()),
        seconds: 61,
        bytes: None,
        ended_at: 1,
    }
}

fn materialized() -> Materialized {
    Materialized { path: "/there/sd.engine".into(), bytes: 1_770_000_000 }
}

fn log() -> JobLog {
    let text = "[I] one\n[E] two\u{1b}\n".to_owned();
    JobLog { engine: id("ef"), path: "/d/logs/ef.log".into(), text, is_cut: false }
}

fn reloaded() -> Reloaded {
    Reloaded { applied: vec!["quota".into()], needs_restart: vec![] }
}

fn garbage() -> Garbage {
    Garbage { path: "/e".into(), bytes: 5, reason: "old".into() }
}

#[test]
fn json_is_what_the_daemon_said() {
    let one = entry("/m/a.safetensors", State::Ready, None);
    let verdict = Verdict { key: id("ef"), path: "/e".into(), problem: None };
    let reference = || "a".to_owned();
    for (args, request, reply, expected) in [
        (&["status"][..], Request::Status, Reply::Status(Box::new(status())), json(&status())),
        (&["list"], Request::List, Reply::List(List(vec![one.clone()])), json(&[&one])),
        (
            &["check", "512x768", "a", "--batch", "2", "--hires", "1.5"],
            Request::Check {
                reference: Some(reference()),
                image: Image { width: 512, height: 768, batch: 2, tokens: 75, hires: Some(1.5) },
            },
            Reply::Coverage(vec![]),
            "[]".to_owned(),
        ),
        (&["webui", "status"], Request::WebUis, Reply::WebUis(vec![]), "[]".to_owned()),
        (
            &["build", "a"],
            Request::Build { reference: reference(), now: false },
            Reply::Checkpoint(one.clone()),
            json(&one),
        ),
        (
            &["build", "a", "--now"],
            Request::Build { reference: reference(), now: true },
            Reply::Checkpoint(one.clone()),
            json(&one),
        ),
        (&["bench"], Request::List, Reply::List(List(vec![one.clone()])), "[]".to_owned()),
        (
            &["bench", "a"],
            Request::Show { reference: reference() },
            Reply::Checkpoint(one.clone()),
            "[]".to_owned(),
        ),
        (
            &["materialize", "a", "--output", "/there/x/../sd.engine"],
            Request::Materialize { reference: reference(), output: "/there/x/../sd.engine".into() },
            Reply::Materialized(materialized()),
            json(&materialized()),
        ),
        (
            &["pause"],
            Request::Pause { seconds: None },
            Reply::Status(Box::new(status())),
            json(&status()),
        ),
        (
            &["pause", "--for", "1h30m"],
            Request::Pause { seconds: Some(5400.0) },
            Reply::Status(Box::new(status())),
            json(&status()),
        ),
        (&["resume"], Request::Resume, Reply::Status(Box::new(status())), json(&status())),
        (
            &["retry", "a"],
            Request::Retry { reference: reference() },
            Reply::Checkpoint(one.clone()),
            json(&one),
        ),
        (
            &["remove", "ef"],
            Request::Remove { engine: "ef".into() },
            Reply::Removed(id("ef")),
            format!("{{\"removed\":\"{}\"}}", id("ef")),
        ),
        (
            &["wait", "a", "--timeout", "0.5"],
            Request::Wait { reference: Some(reference()), timeout_s: 0.5 },
            Reply::List(List(vec![one.clone()])),
            json(&[&one]),
        ),
        (
            &["wait"],
            Request::Wait { reference: None, timeout_s: 3600.0 },
            Reply::List(List::default()),
            "[]".to_owned(),
        ),
        (&["verify"], Request::Verify, Reply::Verified(vec![verdict.clone()]), json(&[&verdict])),
        (&["disk"], Request::Disk, Reply::Disk(disk()), json(&disk())),
        (
            &["log", "a"],
            Request::Log { reference: Some(reference()) },
            Reply::Log(log()),
            json(&log()),
        ),
        (&["log"], Request::Log { reference: None }, Reply::Log(log()), json(&log())),
        (&["history"], Request::History, Reply::History(vec![finished()]), json(&[finished()])),
        (
            &["history", "-n", "1"],
            Request::History,
            Reply::History(vec![finished(), finished()]),
            json(&[finished()]),
        ),
        (&["reload"], Request::Reload, Reply::Reloaded(reloaded()), json(&reloaded())),
        (
            &["pin", "a"],
            Request::Pin { reference: reference() },
            Reply::Engines(vec![]),
            "[]".to_owned(),
        ),
        (
            &["unpin", "a"],
            Request::Unpin { reference: reference() },
            Reply::Engines(vec![]),
            "[]".to_owned(),
        ),
        (
            &["gc", "--dry-run"],
            Request::Gc { dry_run: true },
            Reply::Garbage(vec![garbage()]),
            json(&[garbage()]),
        ),
        (
            &["gc"],
            Request::Gc { dry_run: false },
            Reply::Garbage(vec![garbage()]),
            json(&[garbage()]),
        ),
    ] {
        let daemon = FakeDaemon::replying([reply]);
        let outcome = daemon.ctl(&[args, &["--json"]].concat());
        assert_eq!(outcome.stdout, expected + "\n", "{args:?} {}", outcome.stderr);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{args:?}");
        assert_eq!(daemon.requests(), [request], "{args:?}");
    }
}

#[test]
fn people_get_text() {
    let one = entry("/m/a.safetensors", State::Queued, Some("next"));
    let verdict = Verdict { key: id("ef"), path: "/e".into(), problem: None };
    for (args, reply, expected) in [
        (&["status"][..], Reply::Status(Box::new(status())), "TensorRT      none: not found\n"),
        (&["list"], Reply::List(List(vec![one.clone()])), "queued"),
        (&["build", "a"], Reply::Checkpoint(one.clone()), "queued       a.safetensors  next\n"),
        (&["pause"], Reply::Status(Box::new(status())), "`sdtrtctl resume` continues\n"),
        (&["resume"], Reply::Status(Box::new(status())), "resumed; nothing is waiting\n"),
        (&["remove", "ef"], Reply::Removed(id("ef")), "removed efefefefefef\n"),
        (
            &["bench"],
            Reply::List(List(vec![one.clone()])),
            "no engine has been validated on a GPU yet",
        ),
        (
            &["materialize", "a", "-o", "sd.engine"],
            Reply::Materialized(materialized()),
            "wrote /there/sd.engine: 1.8 GB\n",
        ),
        (&["verify"], Reply::Verified(vec![verdict]), "efefefefefef   ok"),
        (&["disk"], Reply::Disk(disk()), "engines     7 B of 9 B\n"),
        (&["gc", "--dry-run"], Reply::Garbage(vec![garbage()]), "would free 5 B in 1 file\n"),
        (&["log"], Reply::Log(log()), "[I] one\n[E] two\\u{1b}\n"),
        (&["history"], Reply::History(vec![finished()]), "failed   1 min 1 s"),
        (&["reload"], Reply::Reloaded(reloaded()), "applied: quota\n"),
    ] {
        let quiet = FakeDaemon::replying([reply.clone()]).ctl(&[args, &["--quiet"]].concat());
        assert_eq!((quiet.code, quiet.stdout.as_str()), (Some(0), ""), "{args:?}");
        let outcome = FakeDaemon::replying([reply]).ctl(args);
        assert_eq!(outcome.code, Some(0), "{args:?} {}", outcome.stderr);
        assert!(outcome.stdout.contains(expected), "{args:?} {}", outcome.stdout);
    }
}

#[test]
fn following_a_build_ends_with_it() {
    let at = |state| entry("/m/a.safetensors", state, None);
    let building = |percent| {
        Event::Building(vec![Building {
            task: Task::Build,
            weights_id: id("ab").into(),
            preset: "default".into(),
            phase: "build".into(),
            percent,
            elapsed_s: 30,
            gpu: None,
        }])
    };
    let other = entry("/m/b.safetensors", State::Building, None);
    let other = protocol::Checkpoint { weights_id: Some(id("0b")), ..other };
    for (last, code) in [(State::Ready, 0), (State::Failed, 1)] {
        let events = [
            Event::State { status: Box::new(status()), checkpoints: vec![at(State::Queued)] },
            Event::Checkpoint(other.clone()),
            Event::Checkpoint(at(State::Building)),
            building(50),
            Event::Checkpoint(at(last)),
        ];
        let script = || {
            let asked = json(&Reply::Checkpoint(at(State::Queued)));
            FakeDaemon::scripted(vec![vec![asked], events.iter().map(json).collect()])
        };
        let daemon = script();
        let outcome = daemon.ctl(&["build", "a", "--now", "--follow"]);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let word = last.to_string();
        let expected = format!(
            "checkpoints: 1 ready\nbuilding     a.safetensors\n\
             building     a.safetensors  build\n{word:<11}  a.safetensors\n"
        );
        assert_eq!(outcome.stdout, expected);
        let build = Request::Build { reference: "a".into(), now: true };
        assert_eq!(daemon.requests(), [build, Request::Watch]);
        let outcome = script().ctl(&["build", "a", "--now", "--follow", "--json"]);
        assert_eq!(outcome.stdout, json(&at(last)) + "\n", "the last word alone");
    }
}

#[test]
fn relative_paths_are_asked_for_as_absolute_ones() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = FakeDaemon::replying([Reply::Checkpoint(entry("/m/a", State::Ready, None))]);
    let mut retry = ctl(&["retry", "./a.safetensors", "--socket"]);
    assert_eq!(run(retry.arg(daemon.socket()).current_dir(dir.path())).code, Some(0));
    let reference = dir.path().canonicalize().unwrap().join("a.safetensors");
    let reference = reference.to_str().unwrap().to_owned();
    assert_eq!(daemon.requests(), [Request::Retry { reference }]);

    let there = Materialized { path: "/there".into(), bytes: 1 };
    let daemon = FakeDaemon::replying([Reply::Materialized(there)]);
    let mut materialize = ctl(&["materialize", "a", "--output", "sd.engine", "--socket"]);
    let outcome = run(materialize.arg(daemon.socket()).current_dir(dir.path()));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let output = dir.path().canonicalize().unwrap().join("sd.engine");
    let output = output.to_str().unwrap().to_owned();
    assert_eq!(daemon.requests(), [Request::Materialize { reference: "a".into(), output }]);
}

#[test]
fn waiting_in_vain_ends_with_1_and_the_reason() {
    let failed = entry("/m/a.safetensors", State::Failed, Some("out of disk"));
    let rejected = entry("/m/b.safetensors", State::Rejected, Some("a LoRA"));
    let timed_out = Failure::TimedOut { seconds: 0.5, what: "building /m/a.safetensors".into() };
    for (args, reply, code, reason) in [
        (&["wait", "a"][..], Reply::List(List(vec![failed.clone()])), 1, "out of disk"),
        (&["wait", "b"], Reply::List(List(vec![rejected.clone()])), 1, "a LoRA"),
        (&["wait"], Reply::List(List(vec![rejected.clone(), failed])), 1, "out of disk"),
        (&["wait"], Reply::List(List(vec![rejected])), 0, ""),
        (&["wait", "a"], Reply::Failed(timed_out), 1, "building /m/a.safetensors"),
    ] {
        let outcome = FakeDaemon::replying([reply]).ctl(args);
        assert_eq!(outcome.code, Some(code), "{args:?} {outcome:?}");
        assert!(outcome.stderr.contains(reason), "{args:?} {outcome:?}");
    }
}

#[test]
fn refusals_end_with_1_and_say_why_on_standard_error() {
    let not_found = || Failure::NotFound { reference: "x\u{1b}".into(), similar: vec![] };
    for args in [&["show", "x"][..], &["list", "--json"], &["remove", "x"]] {
        let outcome = FakeDaemon::replying([Reply::Failed(not_found())]).ctl(args);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(outcome.stderr.contains("'x\\u{1b}'"), "{}", outcome.stderr);
    }
    // Neither a daemon that dies nor one with a bug is silence or a panic.
    let hung_up = FakeDaemon::scripted(vec![]).ctl(&["list"]);
    assert_eq!(hung_up.code, Some(1));
    assert!(hung_up.stderr.contains("stopped before replying"), "{}", hung_up.stderr);
    let wrong = FakeDaemon::replying([Reply::List(List::default())]).ctl(&["status"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("'list'"), "{}", wrong.stderr);
}

#[test]
fn watching_prints_each_change_until_the_daemon_ends_it() {
    let events = [
        // Read from text, as the daemon would send it.
        format!(
            "{{\"event\":\"state\",\"value\":{{\"status\":{},\"checkpoints\":[]}}}}",
            json(&status())
        ),
        json(&Event::Checkpoint(entry("/m/a.safetensors", State::Building, None))),
        json(&Event::Building(vec![Building {
            task: Task::Build,
            weights_id: id("ab").into(),
            preset: "default".into(),
            phase: "parse".into(),
            percent: 1,
            elapsed_s: 2,
            gpu: None,
        }])),
        json(&Event::Checkpoint(entry("/m/a.safetensors", State::Failed, Some("why")))),
    ];
    let text = FakeDaemon::scripted(vec![events.to_vec()]).ctl(&["watch"]);
    assert_eq!(
        text.stdout,
        "checkpoints: 1 ready\n\
         building     a.safetensors\n\
         building     a.safetensors  parse\n\
         failed       a.safetensors  why\n"
    );
    assert_eq!(text.code, Some(1));
    assert!(text.stderr.contains("closed the connection"), "{}", text.stderr);
    let lines = FakeDaemon::scripted(vec![events.to_vec()]).ctl(&["watch", "--json"]);
    assert_eq!(lines.stdout, events.join("\n") + "\n");
}
