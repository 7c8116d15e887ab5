//! Runs other programs, and makes sure that they end.

use std::{
    process::{Child, Command, ExitStatus},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often to check whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long a program may take to end before it is killed; the daemon stops its worker in that time.
const GRACE: Duration = Duration::from_secs(10);

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Lets Ctrl-C interrupt the work at the next check, so that programs are stopped and folders deleted; a
/// second one ends the process at once.
pub(crate) fn heed_signals() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let flag = || INTERRUPTED.clone();
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag())
            .and_then(|_| signal_hook::flag::register(signal, flag()))
            .context("cannot handle signals")?;
    }
    Ok(())
}

/// Fails once the user has interrupted.
pub(crate) fn go_on() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) { bail!("interrupted") } else { Ok(()) }
}

/// Sleeps, unless interrupted.
pub(crate) fn sleep(time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        go_on()?;
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Ok(()),
            left => thread::sleep(left.min(LOOK)),
        }
    }
}

/// Calls `look` until it returns a value.
pub(crate) fn until<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        go_on()?;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("{what}: timed out after {} s", limit.as_secs());
        }
        thread::sleep(pause);
    }
}

/// A program that ends at the latest when this value is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns its status, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    fn wait(mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            sleep(LOOK)?;
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        ended.map(drop).with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to end, and kills it if it does not.
    pub(crate) fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + GRACE;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end, showing its output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = Process::start(command)?.wait()?;
    go_on()?;
    if status.success() { Ok(()) } else { bail!("`{shown}` failed ({status})") }
}

/// Returns a program's standard output; its standard error becomes the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    go_on()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not print UTF-8"))
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
