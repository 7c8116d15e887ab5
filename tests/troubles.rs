//! What is wrong with the machine passes, and nobody holds up the rest; with a script in the worker's place.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use end_to_end::{Daemon, Watching, Workplace};
use protocol::State;

/// With one engine to build.
fn workplace() -> Workplace {
    let w = Workplace::new();
    w.write_checkpoint("a.safetensors", 1);
    w.set_good_worker();
    w
}

fn state(seen: &mut Watching, w: &Workplace, what: &str, wanted: State, reason: &str) {
    let path = w.model("a.safetensors");
    seen.until(what, |seen| {
        let entry = seen.at(&path);
        entry.is_some_and(|entry| {
            entry.state == wanted && entry.reason.as_deref().unwrap_or_default().contains(reason)
        })
    });
}

#[test]
fn whatever_is_wrong_with_the_machine_is_waited_for_and_passes() {
    type Harm = (&'static str, fn(&Workplace), fn(&Workplace), &'static str);
    let harms: [Harm; 4] = [
        (
            "the worker is away",
            |w| fs::rename(w.worker(), w.path("bin/away")).unwrap(),
            |w| fs::rename(w.path("bin/away"), w.worker()).unwrap(),
            "sdtrt-worker",
        ),
        (
            "the worker can't be run",
            |w| fs::set_permissions(w.worker(), Permissions::from_mode(0o644)).unwrap(),
            |w| fs::set_permissions(w.worker(), Permissions::from_mode(0o755)).unwrap(),
            "can't be run",
        ),
        (
            "a file is in the work folder's place",
            |w| {
                fs::remove_dir(w.data().join("scratch")).unwrap();
                fs::write(w.data().join("scratch"), "").unwrap();
            },
            |w| fs::remove_file(w.data().join("scratch")).unwrap(),
            "cannot make a folder to work in",
        ),
        (
            "the worker says that the disk is read-only",
            |w| w.set_worker(r#"echo '{"trouble":"Read-only file system"}'; exit"#),
            Workplace::set_good_worker,
            "Read-only file system",
        ),
    ];
    for (what, harm, mend, told) in harms {
        let w = Workplace::new();
        w.set_good_worker();
        let daemon = w.daemon_with_stand_in(&[]);
        assert_eq!(w.ctl(&["wait", "--timeout", "60"]).code, 0, "TensorRT was found");
        let mut seen = w.watch();
        harm(&w);
        w.write_checkpoint("a.safetensors", 1);
        state(&mut seen, &w, what, State::Queued, told);
        let status = w.ctl(&["status", "--json"]).json();
        let troubles = [status["troubles"].to_string(), status["runtime_problem"].to_string()];
        assert!(troubles.concat().contains(told), "{what}: {status}");
        // Not even the next life holds it against the checkpoint.
        drop(seen);
        assert_eq!(daemon.stop(), Some(0));
        mend(&w);
        let _daemon = w.daemon_with_stand_in(&[]);
        let mut seen = w.watch();
        state(&mut seen, &w, what, State::Ready, "");
        assert!(w.ctl(&["status", "--json"]).json()["troubles"].as_array().unwrap().is_empty());
    }
}

#[test]
fn tensorrt_that_comes_back_is_found_by_itself() {
    let w = workplace();
    let away = w.path("away");
    let _daemon = w.daemon_with_stand_in(&["--build", "never"]);
    let library = w.tensorrt();
    w.ctl(&["wait", "--timeout", "60"]);
    fs::rename(&library, &away).unwrap();
    // What is asked for shows that it is gone.
    w.set_worker(r#"echo '{"trouble":"cannot load TensorRT"}'; exit"#);
    let mut seen = w.watch();
    assert_eq!(w.ctl(&["build", "a"]).code, 0);
    state(&mut seen, &w, "no TensorRT", State::Queued, "configured TensorRT folder");
    w.set_good_worker();
    fs::rename(&away, &library).unwrap();
    state(&mut seen, &w, "TensorRT again", State::Ready, "");
}

#[test]
fn a_build_that_ends_the_daemon_again_and_again_lets_others_go_first_and_waits() {
    let w = workplace();
    // It kills whoever started it.
    w.set_worker("kill -9 $PPID; exec sleep 600");
    let mut lives = 0;
    let _daemon = loop {
        lives += 1;
        assert!(lives < 20, "it comes first again and again");
        let mut daemon = w.daemon_with_stand_in(&[]);
        if waits(&w, &mut daemon) {
            break daemon;
        }
    };
    assert!(lives > 3, "{lives} lives");
    let mut seen = w.watch();
    w.set_good_worker();
    assert_eq!(w.ctl(&["retry", "a"]).code, 0);
    state(&mut seen, &w, "asked for", State::Ready, "");
    assert_eq!(fs::read_dir(w.data().join("attempts")).unwrap().count(), 0);
}

/// Whether a daemon lives long enough to say that both of its engines wait.
fn waits(w: &Workplace, daemon: &mut Daemon) -> bool {
    while !daemon.has_ended() {
        let list = w.ctl(&["list", "--json"]).stdout;
        // Of the checkpoint, and of each engine that is to come.
        if list.matches("ended 3 times while this was done").count() == 3 {
            return true;
        }
    }
    false
}

#[test]
fn a_second_daemon_is_kept_out_of_a_data_folder_whose_lock_file_was_deleted() {
    let w = Workplace::new();
    let _daemon = w.daemon();
    fs::remove_file(w.data().join("lock")).unwrap();
    let second = w.sdtrtd_on(&w.path("other")).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("another sdtrtd is running"), "{said}");
}

#[test]
fn silent_clients_keep_nobody_out() {
    let w = Workplace::new();
    let _daemon = w.daemon();
    // Of one process, and of more than anybody has.
    let silent: Vec<_> = (0..600).map(|_| w.connect()).collect();
    assert_eq!(w.ctl(&["status"]).code, 0);
    let mut last = BufReader::new(silent.last().unwrap());
    let mut hello = String::new();
    last.read_line(&mut hello).unwrap();
    assert!(hello.contains("protocol"), "the newest are served: {hello}");
}

#[test]
fn an_index_that_was_deleted_or_damaged_comes_back_and_an_open_file_holds_it_up_no_longer() {
    let w = workplace();
    let open = w.write_checkpoint("open.safetensors", 2);
    let held = File::options().append(true).open(open).unwrap();
    let _daemon = w.daemon_with_stand_in(&[]);
    let mut seen = w.watch();
    state(&mut seen, &w, "built", State::Ready, "");
    let index = w.data().join("index.json");
    until(|| fs::read(&index).is_ok());
    let text = fs::read(&index).unwrap();
    for harm in [|path: &Path| fs::remove_file(path), |path: &Path| fs::write(path, "{")] {
        harm(&index).unwrap();
        until(|| fs::read(&index).is_ok_and(|found| found == text));
    }
    drop(held);
}

/// Looks again and again, as who reads a file does.
fn until(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_secs() < 60, "it is not so after a minute");
        std::thread::yield_now();
    }
}

#[test]
fn waiting_for_a_file_ends_once_it_is_deleted_or_no_checkpoint() {
    let w = workplace();
    w.set_worker("exec sleep 600");
    let daemon = w.daemon_with_stand_in(&[]);
    let mut seen = w.watch();
    for harm in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| {
            fs::write(path, "hello").unwrap();
        },
    ] {
        let path = w.write_checkpoint("a.safetensors", 1);
        state(&mut seen, &w, "building", State::Building, "");
        let open = daemon.open_files();
        let waiting = w.start_ctl(&["wait", path.to_str().unwrap(), "--timeout", "240"]);
        until(|| daemon.open_files() > open);
        harm(&path);
        let ended = waiting.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        assert!(said.contains("was deleted") || said.contains("is rejected"), "{said}");
    }
}

#[test]
fn what_lies_among_engines_and_models_keeps_the_daemon_from_nothing() {
    let w = workplace();
    let engines = w.data().join("engines");
    fs::create_dir_all(engines.join("x.engine")).unwrap();
    for pipe in [
        engines.join(format!("{}.json", "a".repeat(64))),
        engines.join("b.usage"),
        w.model("pipe.safetensors"),
    ] {
        assert!(Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let daemon = w.daemon_with_stand_in(&[]);
    let waited = w.ctl(&["wait", "--timeout", "60"]);
    assert_eq!(waited.code, 0, "{waited:?}");
    let verified = w.ctl(&["verify"]);
    assert!(verified.code == 1 && verified.stdout.contains("aaa.json"), "{verified:?}");
    assert_eq!(daemon.stop(), Some(0));

    let file = w.path("file");
    fs::write(&file, "mine").unwrap();
    let refused = w.sdtrtd_on(&file).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is no socket"), "{said}");
    assert_eq!(fs::read(file).unwrap(), b"mine");
}

#[test]
fn a_worker_that_lies_publishes_nothing() {
    for (script, said) in [
        ("printf plan012345 > engine", "10 bytes and not 4"),
        ("ln -s /etc/hostname engine", "no regular file"),
        ("mkdir engine", "no regular file"),
        ("printf nalp > engine", "BLAKE3"),
    ] {
        let w = workplace();
        w.set_worker(script);
        let _daemon: Daemon = w.daemon_with_stand_in(&[]);
        let mut seen = w.watch();
        state(&mut seen, &w, script, State::Failed, said);
        assert_eq!(fs::read_dir(w.data().join("engines")).unwrap().count(), 0, "{script}");
    }
}
