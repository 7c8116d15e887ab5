//! Disk usage, and what may be deleted.

use std::{
    ffi::OsStr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use protocol::{Engine, Question, question};

use crate::{args::Global, daemon::Daemon, output, reference::reference, render::disk};

pub(super) fn disk(global: &Global) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let disk = Daemon::connect(global)?.ask(question::disk())?;
    output::answer(global, &disk, |disk| disk::render(disk, now, output::look()))
}

pub(super) fn pin(global: &Global, typed: &OsStr) -> Result<()> {
    engines(global, typed, question::pin)
}

pub(super) fn unpin(global: &Global, typed: &OsStr) -> Result<()> {
    engines(global, typed, question::unpin)
}

fn engines(
    global: &Global,
    typed: &OsStr,
    question: impl FnOnce(String) -> Question<Vec<Engine>>,
) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = reference(&mut daemon, typed)?;
    let engines = daemon.ask(question(reference))?;
    output::answer(global, &engines, |engines| disk::pins(engines))
}

pub(super) fn gc(global: &Global, dry_run: bool) -> Result<()> {
    let garbage = Daemon::connect(global)?.ask(question::gc(dry_run))?;
    output::answer(global, &garbage, |all| disk::garbage(all, dry_run, output::look()))
}
