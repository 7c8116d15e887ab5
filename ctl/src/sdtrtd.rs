//! The daemon's program, for what only it can tell.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use protocol::Machine;

use crate::{args::Global, configuration};

/// Beside this program, as both are installed together, or else where the shell would find it.
pub(crate) fn program() -> PathBuf {
    let beside = env::current_exe().ok().map(|here| here.with_file_name("sdtrtd"));
    beside.filter(|program| program.exists()).unwrap_or_else(|| "sdtrtd".into())
}

/// What there is to build with on this machine.
pub(crate) fn probe(global: &Global) -> Result<Machine> {
    let program = program();
    let mut command = Command::new(&program);
    command.arg("probe");
    let file = configuration::file(global);
    if file.exists() {
        command.arg("--config").arg(file);
    }
    let output = command.stdin(Stdio::null()).output().with_context(|| {
        format!("cannot start {}; install it beside sdtrtctl", program.display())
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} could not examine this machine ({}): {}",
            program.display(),
            output.status,
            said.trim()
        );
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        format!(
            "{} and sdtrtctl have different versions; install both from the same release",
            program.display()
        )
    })
}
