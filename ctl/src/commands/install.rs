//! `runtime install`: installs the libraries into the data folder, and notifies the daemon.

use std::path::PathBuf;

use anyhow::{Result, bail};
use config::runtime::{ONNX_RUNTIME, TENSORRT_RTX};
use protocol::{Status, question};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    args::{Global, Install},
    configuration,
    daemon::Daemon,
    exit, output,
    render::text,
    runtime::{self, Installed},
};

/// What is installed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RuntimeInstalled {
    /// TensorRT-RTX.
    #[serde(flatten)]
    tensorrt: Libraries,
    /// ONNX Runtime, which engines are validated against.
    onnx_runtime: Option<Libraries>,
    /// Why it is missing, and what to do.
    onnx_runtime_problem: Option<String>,
    /// What the daemon uses now; absent if none is running.
    daemon_uses: Option<String>,
}

/// Libraries that are installed.
#[derive(Serialize, JsonSchema)]
struct Libraries {
    /// Their version.
    version: String,
    /// Their folder.
    path: String,
    /// They were already installed.
    already_installed: bool,
}

impl Libraries {
    fn new(version: &str, installed: Installed) -> Self {
        Self {
            version: version.to_owned(),
            path: installed.dir.to_string_lossy().into_owned(),
            already_installed: installed.already,
        }
    }
}

pub(super) fn run(global: &Global, install: &Install) -> Result<()> {
    let data_dir = data_dir(global, install)?;
    let tensorrt = runtime::install(&data_dir, &TENSORRT_RTX, install.wheel.as_deref())?;
    // Engines are built without it, so a failed download is no error.
    let onnx_runtime = runtime::install(&data_dir, &ONNX_RUNTIME, None);
    let onnx_runtime_problem = onnx_runtime.as_ref().err().map(exit::describe);
    let outcome = RuntimeInstalled {
        tensorrt: Libraries::new(TENSORRT_RTX.version, tensorrt),
        onnx_runtime: onnx_runtime.ok().map(|found| Libraries::new(ONNX_RUNTIME.version, found)),
        onnx_runtime_problem,
        daemon_uses: tell_daemon(global),
    };
    output::answer(global, &outcome, render)
}

fn data_dir(global: &Global, install: &Install) -> Result<PathBuf> {
    if let Some(dir) = &install.data_dir {
        return Ok(std::path::absolute(dir)?);
    }
    // Without a daemon, or with one of another version, the configuration says where.
    if let Ok(mut daemon) = Daemon::connect(global) {
        let dir = daemon.ask(question::status())?.daemon.data_dir;
        if dir.contains('\u{fffd}') {
            bail!("the path of sdtrtd's data folder is not UTF-8; pass it with --data-dir");
        }
        return Ok(dir.into());
    }
    Ok(std::path::absolute(configuration::load(global)?.config.data_dir)?)
}

/// Makes the daemon search again; returns what it then uses. The libraries are already installed, so
/// nothing here is an error.
fn tell_daemon(global: &Global) -> Option<String> {
    let mut daemon = match Daemon::connect(global) {
        Ok(daemon) => daemon,
        Err(error) => match error.downcast_ref() {
            Some(protocol::ConnectError::NoDaemon { .. }) => return None,
            _ => return Some(exit::describe(&error)),
        },
    };
    Some(match daemon.ask(question::find_runtime()) {
        Ok(status) => uses(&status),
        Err(error) => exit::describe(&error),
    })
}

fn uses(status: &Status) -> String {
    match (&status.runtime, &status.runtime_problem) {
        (_, Some(problem)) => problem.clone(),
        (Some(runtime), None) => format!("{} {}", runtime.flavour, runtime.version),
        (None, None) => "no TensorRT".to_owned(),
    }
}

fn render(outcome: &RuntimeInstalled) -> String {
    let RuntimeInstalled { tensorrt, onnx_runtime, onnx_runtime_problem, daemon_uses } = outcome;
    let mut rendered = is_in("TensorRT-RTX", tensorrt);
    if let Some(libraries) = onnx_runtime {
        rendered.push_str(&is_in("ONNX Runtime", libraries));
    }
    if let Some(problem) = onnx_runtime_problem {
        let problem = text::clean(problem);
        rendered.push_str(&format!("without ONNX Runtime, engines stay unproven: {problem}\n"));
    }
    if let Some(uses) = daemon_uses {
        rendered.push_str(&format!("sdtrtd: {}\n", text::clean(uses)));
    }
    rendered
}

fn is_in(name: &str, libraries: &Libraries) -> String {
    let Libraries { version, path, already_installed } = libraries;
    let done = if *already_installed { "was already" } else { "was" };
    format!("{name} {version} {done} installed in {}\n", text::clean(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn says_what_was_done_and_what_the_daemon_makes_of_it() {
        let libraries = |version: &str, dir: &str, already_installed| Libraries {
            version: version.into(),
            path: format!("/data/runtime/{dir}"),
            already_installed,
        };
        let mut outcome = RuntimeInstalled {
            tensorrt: libraries("1.7.1.116", "1.7.1.116", true),
            onnx_runtime: None,
            onnx_runtime_problem: Some("pip cannot reach the package index".into()),
            daemon_uses: None,
        };
        insta::assert_snapshot!(render(&outcome), @r"
        TensorRT-RTX 1.7.1.116 was already installed in /data/runtime/1.7.1.116
        without ONNX Runtime, engines stay unproven: pip cannot reach the package index
        ");
        outcome.tensorrt.already_installed = false;
        outcome.onnx_runtime = Some(libraries("1.32.0", "onnxruntime-1.32.0", false));
        outcome.onnx_runtime_problem = None;
        outcome.daemon_uses = Some(uses(&samples::status()));
        insta::assert_snapshot!(render(&outcome), @r"
        TensorRT-RTX 1.7.1.116 was installed in /data/runtime/1.7.1.116
        ONNX Runtime 1.32.0 was installed in /data/runtime/onnxruntime-1.32.0
        sdtrtd: tensorrt-rtx 1.7.1.116
        ");
    }
}
