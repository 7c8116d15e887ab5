//! Problems, and how to fix them.

use anyhow::{Result, bail};

use crate::{args::Global, doctor, output, render};

pub(super) fn run(global: &Global) -> Result<()> {
    let findings = doctor::examine(global);
    output::answer(global, &findings, |all| render::doctor::render(all, output::look()))?;
    match render::doctor::complaint(&findings) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}
