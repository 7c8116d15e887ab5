//! The history of builds, and their logs.

use std::{
    ffi::OsStr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use protocol::question;

use crate::{
    args::Global,
    daemon::Daemon,
    output,
    reference::reference,
    render::{history, text},
};

pub(super) fn log(global: &Global, typed: Option<&OsStr>) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = typed.map(|typed| reference(&mut daemon, typed)).transpose()?;
    let log = daemon.ask(question::log(reference))?;
    output::answer(global, &log, |log| {
        let beginning = if log.is_cut { format!("… {}\n", log.path) } else { String::new() };
        text::clean_lines(&(beginning + &log.text)).into_owned()
    })
}

pub(super) fn history(global: &Global, limit: usize) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut history = Daemon::connect(global)?.ask(question::history())?;
    history.truncate(limit);
    output::answer(global, &history, |all| history::render(all, now, output::look()))
}
