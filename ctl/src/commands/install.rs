//! `runtime install`: the libraries into the data folder, and word of it to the daemon.

use std::path::PathBuf;

use anyhow::{Result, bail};
use config::runtime::PINNED;
use protocol::{Request, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    args::{Global, Install},
    configuration,
    daemon::Daemon,
    exit, output,
    render::text,
    runtime,
};

/// Libraries that are installed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Outcome {
    /// Their version.
    version: &'static str,
    /// Their folder.
    path: String,
    /// Nothing had to be done.
    already_installed: bool,
    /// What the daemon uses now; absent where none runs.
    daemon_uses: Option<String>,
}

pub(super) fn run(global: &Global, install: &Install) -> Result<()> {
    let data_dir = data_dir(global, install)?;
    let installed = runtime::install(&data_dir, &PINNED, install.wheel.as_deref())?;
    let outcome = Outcome {
        version: PINNED.version,
        path: installed.dir.to_string_lossy().into_owned(),
        already_installed: installed.already,
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
        let dir = daemon.status(&Request::Status)?.daemon.data_dir;
        if dir.contains('\u{fffd}') {
            bail!("the path of sdtrtd's data folder is not UTF-8: name it with --data-dir");
        }
        return Ok(dir.into());
    }
    Ok(std::path::absolute(configuration::load(global)?.config.data_dir)?)
}

/// Has the daemon look again, for what it then uses. The libraries are in place by now, so that
/// nothing here is a failure.
fn tell_daemon(global: &Global) -> Option<String> {
    let mut daemon = match Daemon::connect(global) {
        Ok(daemon) => daemon,
        Err(error) => match error.downcast_ref() {
            Some(protocol::ConnectError::NoDaemon { .. }) => return None,
            _ => return Some(exit::describe(&error)),
        },
    };
    Some(match daemon.status(&Request::FindRuntime) {
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

fn render(outcome: &Outcome) -> String {
    let Outcome { version, path, already_installed, daemon_uses } = outcome;
    let done = if *already_installed { "was already" } else { "is now" };
    let mut rendered = format!("TensorRT-RTX {version} {done} in {}\n", text::clean(path));
    if let Some(uses) = daemon_uses {
        rendered.push_str(&format!("sdtrtd: {}\n", text::clean(uses)));
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn says_what_was_done_and_what_the_daemon_makes_of_it() {
        let mut outcome = Outcome {
            version: "1.7.1.116",
            path: "/data/runtime/1.7.1.116".into(),
            already_installed: true,
            daemon_uses: None,
        };
        insta::assert_snapshot!(render(&outcome), @"TensorRT-RTX 1.7.1.116 was already in /data/runtime/1.7.1.116");
        outcome.already_installed = false;
        outcome.daemon_uses = Some(uses(&samples::status()));
        insta::assert_snapshot!(render(&outcome), @r"
        TensorRT-RTX 1.7.1.116 is now in /data/runtime/1.7.1.116
        sdtrtd: tensorrt-rtx 1.7.1.116
        ");
    }
}
