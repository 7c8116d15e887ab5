//! A daemon that says what a test tells it to, and the program that is tested.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use protocol::{Checkpoint, Daemon, Hello, Id, Reply, Request, State, Status, VERSION};
use serde::Serialize;
use tempfile::TempDir;

/// Writes a program of this body. Not by this process: another test's child could inherit the open file, and until
/// that child runs its own program the kernel refuses to run this one.
pub(crate) fn write_script(path: &Path, body: &str) {
    let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"";
    let mut sh = Command::new("/bin/sh");
    let status = sh.args(["-c", write, "sh", body]).arg(path).status().unwrap();
    assert!(status.success(), "{}", path.display());
}

pub(crate) type Lines = Vec<String>;

/// Answers on a socket of its own until the test ends.
pub(crate) struct FakeDaemon {
    dir: TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeDaemon {
    /// Answers each request with the next reply, and hangs up when it has no more.
    pub(crate) fn replying(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::scripted(replies.into_iter().map(|reply| vec![json(&reply)]).collect())
    }

    /// Answers each request with the next lines.
    pub(crate) fn scripted(script: Vec<Lines>) -> Self {
        let hello = Hello { protocol: VERSION, version: "0.0.0".to_owned() };
        Self::start(json(&hello), script)
    }

    /// Says `hello` to everyone, and nothing more.
    pub(crate) fn greeting(hello: &str) -> Self {
        Self::start(hello.to_owned(), Vec::new())
    }

    fn start(hello: String, script: Vec<Lines>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            let mut script = VecDeque::from(script);
            for stream in listener.incoming() {
                // A client that hangs up early is part of some tests.
                let _ = talk(stream.unwrap(), &hello, &mut script, &heard);
            }
        });
        Self { dir, requests }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Runs `sdtrtctl` against this daemon.
    pub(crate) fn ctl(&self, args: &[&str]) -> Outcome {
        run(ctl(args).arg("--socket").arg(self.socket()))
    }
}

fn talk(
    mut stream: UnixStream,
    hello: &str,
    script: &mut VecDeque<Lines>,
    heard: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    writeln!(stream, "{hello}")?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    lines.next().transpose()?;
    for line in lines {
        heard.lock().unwrap().push(serde_json::from_str(&line?)?);
        let Some(reply) = script.pop_front() else { return Ok(()) };
        for line in &reply {
            writeln!(stream, "{line}")?;
        }
        if script.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, cut off from the settings of whoever runs the tests.
pub(crate) fn ctl(args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdtrtctl"));
    command.args(args);
    for variable in ["SDTRT_SOCKET", "SDTRT_CONFIG", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_DATA_HOME", "/nonexistent");
    command
}

pub(crate) fn run(command: &mut Command) -> Outcome {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs without a daemon.
pub(crate) fn alone(args: &[impl AsRef<OsStr>]) -> Outcome {
    run(&mut ctl(args))
}

/// 32 times these two digits.
pub(crate) fn id(digits: &str) -> Id {
    digits.repeat(32).parse().unwrap()
}

pub(crate) fn entry(path: &str, state: State, reason: Option<&str>) -> Checkpoint {
    Checkpoint {
        weights_id: Some(id("ab")),
        unet_id: Some(id("cd")),
        architecture: Some("sd1".to_owned()),
        state,
        reason: reason.map(str::to_owned),
        remarks: Vec::new(),
        locations: vec![path.to_owned()],
        engines: vec![],
        coming: vec![],
    }
}

pub(crate) fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Of a daemon without TensorRT.
pub(crate) fn status() -> Status {
    Status {
        daemon: Daemon {
            version: "0.1.0".into(),
            protocol: VERSION,
            pid: 1,
            uptime_s: 5,
            data_dir: "/data".into(),
        },
        runtime_problem: Some("not found".into()),
        counts: [(State::Ready, 1)].into(),
        ..Status::default()
    }
}
