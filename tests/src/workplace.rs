use std::{
    env,
    ffi::OsStr,
    fs,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use goldens::Manifest;
use protocol::Checkpoint;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Daemon, Watching, programs};

/// How long a command may wait for the daemon, in seconds: far longer than anything here takes.
pub(crate) const PATIENCE_S: u64 = 240;

/// A test's own models folder, data folder and socket.
pub struct Workplace {
    dir: TempDir,
}

/// A command's result.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Parses standard output as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Default for Workplace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workplace {
    /// Makes a workplace with an empty models folder.
    pub fn new() -> Self {
        let workplace = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(workplace.models()).unwrap();
        fs::create_dir(workplace.path("no-runtime")).unwrap();
        workplace
    }

    /// A path in this workplace.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The models folder.
    pub fn models(&self) -> PathBuf {
        self.path("models")
    }

    /// A path in the models folder.
    pub fn model(&self, name: impl AsRef<Path>) -> PathBuf {
        self.models().join(name)
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// Writes the golden SD 1.x checkpoint with weights from `seed`; as a torch file if the name ends in
    /// `.ckpt`.
    pub fn write_checkpoint(&self, name: impl AsRef<Path>, seed: u64) -> PathBuf {
        let path = self.model(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Manifest::load("sd1").unwrap().reseed(seed).write_checkpoint(&path).unwrap();
        path
    }

    /// Starts the daemon without TensorRT: it only identifies files.
    pub fn daemon(&self) -> Daemon {
        self.idle_daemon_with(&[])
    }

    /// Starts the daemon without TensorRT and with more arguments.
    pub fn idle_daemon_with(&self, arguments: &[&str]) -> Daemon {
        let no_runtime = self.path("no-runtime");
        self.daemon_with(&[&["--tensorrt-dir", no_runtime.to_str().unwrap()], arguments].concat())
    }

    /// Starts the daemon with the real TensorRT-RTX.
    ///
    /// # Panics
    /// If `SDTRT_TEST_RUNTIME` is not set.
    pub fn building_daemon(&self) -> Daemon {
        self.building_daemon_with(&["--compute-capability", "8.9"])
    }

    /// Starts the daemon with the real TensorRT-RTX and more arguments.
    ///
    /// # Panics
    /// If `SDTRT_TEST_RUNTIME` is not set.
    pub fn building_daemon_with(&self, arguments: &[&str]) -> Daemon {
        let runtime = env::var("SDTRT_TEST_RUNTIME")
            .expect("SDTRT_TEST_RUNTIME is not set: run `cargo xtask test`");
        let baked = ["--tensorrt-dir", runtime.as_str(), "--engines", "baked"];
        self.daemon_with(&[&baked, arguments].concat())
    }

    /// Starts the daemon with more arguments.
    pub fn daemon_with(&self, arguments: &[&str]) -> Daemon {
        Daemon::start(self, arguments)
    }

    /// Starts [`Self::sdtrtd`]'s command with more arguments.
    pub fn run(&self, command: Command, arguments: &[&str]) -> Daemon {
        Daemon::run(self, command, arguments)
    }

    /// Starts the daemon without TensorRT on a listening socket, as systemd does: it is file descriptor 3,
    /// and `LISTEN_PID` names the process that it is for.
    pub fn socket_activated_daemon(&self, listener: &UnixListener) -> Daemon {
        let daemon = self.sdtrtd();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<&0 </dev/null", "sh"])
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .env_clear()
            .envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(OwnedFd::from(listener.try_clone().unwrap()));
        let no_runtime = self.path("no-runtime");
        Daemon::run(self, command, &["--tensorrt-dir", no_runtime.to_str().unwrap()])
    }

    /// Returns a command that starts `sdtrtd` in this workplace.
    pub fn sdtrtd(&self) -> Command {
        self.sdtrtd_on(&self.socket())
    }

    /// The same with another socket.
    pub fn sdtrtd_on(&self, socket: &Path) -> Command {
        let mut command = Command::new(programs::folder().join("sdtrtd"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("RUST_LOG", "info")
            // Nothing is built besides what a test is about.
            .env("SDTRT_FIXED_ENGINES", "0")
            .arg("--models-dir")
            .arg(self.models())
            .arg("--data-dir")
            .arg(self.data())
            .arg("--socket")
            .arg(socket)
            .args(["--settle-seconds", "0.2"])
            .stdin(Stdio::null());
        command
    }

    /// Starts `sdtrtctl` in this workplace with its output piped.
    pub fn start_ctl(&self, arguments: &[impl AsRef<OsStr>]) -> Child {
        self.ctl_command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn ctl_command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(programs::folder().join("sdtrtctl"));
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("SDTRT_SOCKET", self.socket())
            .current_dir(self.dir.path())
            .args(arguments);
        command
    }

    /// Runs `sdtrtctl` on this workplace.
    pub fn ctl(&self, arguments: &[impl AsRef<OsStr>]) -> Answer {
        let output = self.ctl_command(arguments).output().unwrap();
        Answer {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Returns all entries of `list`.
    pub fn list(&self) -> Vec<Checkpoint> {
        let answer = self.ctl(&["list", "--json"]);
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    /// Returns all entries of `list` once nothing is left to do, except what waits for a missing TensorRT.
    pub fn settled_list(&self) -> Vec<Checkpoint> {
        self.ctl(&["wait", "--timeout", &PATIENCE_S.to_string()]);
        self.list()
    }

    /// Returns the only entry of `list` once nothing is left to do.
    ///
    /// # Panics
    /// If there is none, or more than one.
    pub fn only(&self) -> Checkpoint {
        let mut list = self.settled_list();
        assert_eq!(list.len(), 1, "{list:#?}");
        list.remove(0)
    }

    /// Waits until all engines are built.
    ///
    /// # Panics
    /// If one can't be built.
    pub fn wait(&self) {
        let answer = self.ctl(&["wait", "--timeout", &PATIENCE_S.to_string()]);
        assert_eq!(answer.code, 0, "{answer:?}");
    }

    /// Follows the daemon's events.
    pub fn watch(&self) -> Watching {
        Watching::new(&self.socket())
    }

    /// Connects to the daemon's socket.
    pub fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).unwrap()
    }

    /// A path as `list` shows it.
    pub fn shown(path: &Path) -> String {
        protocol::shown_path(path)
    }
}
