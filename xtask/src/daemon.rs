//! Runs a daemon whose folders, socket and configuration are separate from the user's.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use protocol::{Checkpoint, Client, Status, question};
use tempfile::TempDir;

use crate::{
    cargo::Programs,
    process::{self, Process},
};

/// How long a daemon may take to answer after its start.
const START: Duration = Duration::from_secs(30);

/// A daemon's settings.
pub(crate) struct Options<'a> {
    pub(crate) models: &'a Path,
    pub(crate) data: &'a Path,
    /// The folder of the TensorRT-RTX libraries; if it is empty, the daemon can't build.
    pub(crate) tensorrt: &'a Path,
    pub(crate) compute_capability: Option<&'a str>,
    /// The daemon's default if absent.
    pub(crate) settle_seconds: Option<f64>,
    /// With the weights inside, where that is to be.
    pub(crate) baked: bool,
    /// Of a web UI that it asks whether images are made.
    pub(crate) webui_url: Option<&'a str>,
    /// At the priority of other programs: somebody waits.
    pub(crate) hurried: bool,
}

/// A running daemon; dropping it stops the daemon.
pub(crate) struct Daemon {
    process: Process,
    sdtrtctl: PathBuf,
    socket: PathBuf,
    config: PathBuf,
    /// The folder of the socket, whose path must be short.
    _folder: TempDir,
}

impl Daemon {
    /// Starts a daemon and returns at once; see [`ready`](Self::ready).
    pub(crate) fn start(programs: &Programs, options: &Options<'_>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sdtrt-").tempdir()?;
        let socket = folder.path().join("sdtrtd.sock");
        // An empty file, so that the user's own is not used.
        let config = folder.path().join("sdtrtd.toml");
        File::create(&config)?;
        fs::create_dir_all(options.data)?;
        let log = File::create(options.data.join("sdtrtd.log"))?;
        let mut command = Command::new(&programs.sdtrtd);
        command.arg("--config").arg(&config).arg("--socket").arg(&socket);
        command.arg("--models-dir").arg(options.models).arg("--data-dir").arg(options.data);
        command.arg("--tensorrt-dir").arg(options.tensorrt);
        // Someone is waiting for the engines.
        command.args(["--build", "always"]);
        if let Some(compute_capability) = options.compute_capability {
            command.args(["--compute-capability", compute_capability]);
        }
        if options.baked {
            command.args(["--engines", "baked"]);
        }
        if let Some(seconds) = options.settle_seconds {
            command.args(["--settle-seconds", &seconds.to_string()]);
        }
        if let Some(url) = options.webui_url {
            command.args(["--webui-url", url]);
        }
        if options.hurried {
            command.env("SDTRT_PRIORITY", "normal");
        }
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Process::start(&mut command)?;
        let sdtrtctl = programs.sdtrtctl.clone();
        Ok(Self { process, sdtrtctl, socket, config, _folder: folder })
    }

    /// Waits until it answers.
    pub(crate) fn ready(&mut self, data: &Path) -> Result<Client> {
        process::until("waiting for sdtrtd", START, Duration::from_millis(2), || {
            if let Ok(client) = Client::connect(&self.socket) {
                return Ok(Some(client));
            }
            let Some(status) = self.process.ended()? else { return Ok(None) };
            let log = fs::read_to_string(data.join("sdtrtd.log")).unwrap_or_default();
            bail!("sdtrtd exited at once ({status}):\n{}", log.trim_end());
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The path of its socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// An `sdtrtctl` command for this daemon.
    pub(crate) fn ctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.sdtrtctl);
        command.args(args).env("SDTRT_SOCKET", &self.socket).env("SDTRT_CONFIG", &self.config);
        command.stdin(Stdio::null());
        command
    }

    /// Kills it with SIGKILL; its workers end by themselves.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill()
    }

    /// Stops it, and waits until it has written its cache.
    pub(crate) fn stop(mut self) {
        self.process.stop();
    }
}

/// The same as `sdtrtctl status`.
pub(crate) fn status(client: &mut Client) -> Result<Status> {
    client.ask(question::status()).context("sdtrtd did not report its status")
}

/// The same as `sdtrtctl list`.
pub(crate) fn list(client: &mut Client) -> Result<Vec<Checkpoint>> {
    client.ask(question::list()).context("sdtrtd did not list its checkpoints")
}
