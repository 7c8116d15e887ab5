//! Disk usage, and what may be deleted.

use std::{
    ffi::OsStr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use protocol::{Engine, Question, question};

use crate::{
    args::Global,
    daemon::{Daemon, reference},
    output,
    render::disk,
};

pub(super) fn disk(global: &Global) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let disk = Daemon::connect(global)?.ask(question::disk())?;
    output::answer(global, &disk, |disk| disk::render(disk, now, output::look()))
}

pub(super) fn pin(global: &Global, typed: &OsStr) -> Result<()> {
    engines(global, question::pin(reference(typed)?))
}

pub(super) fn unpin(global: &Global, typed: &OsStr) -> Result<()> {
    engines(global, question::unpin(reference(typed)?))
}

fn engines(global: &Global, question: Question<Vec<Engine>>) -> Result<()> {
    let engines = Daemon::connect(global)?.ask(question)?;
    output::answer(global, &engines, |engines| disk::pins(engines))
}

pub(super) fn gc(global: &Global, dry_run: bool) -> Result<()> {
    let garbage = Daemon::connect(global)?.ask(question::gc(dry_run))?;
    output::answer(global, &garbage, |all| disk::garbage(all, dry_run, output::look()))
}
