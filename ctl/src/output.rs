//! Standard output. A reader that has seen enough (`| head`) ends the program quietly.

use std::{
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{args::Global, render::look::Look};

/// Prints text that ends in its own newlines.
pub(crate) fn say(text: &str) -> Result<()> {
    say_on(text).map(drop)
}

/// As [`say`], for continuous output: `Break` once the reader has closed it.
pub(crate) fn say_on(text: &str) -> Result<ControlFlow<()>> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

/// One value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    let line = serde_json::to_string(value).context("cannot convert the answer to JSON")?;
    Ok(terminal::clean_json(&line).into_owned() + "\n")
}

/// Prints `value` as JSON, as `human` renders it, or not at all.
pub(crate) fn answer<T: Serialize>(
    global: &Global,
    value: &T,
    human: impl FnOnce(&T) -> String,
) -> Result<()> {
    say(&told(global, value, human)?)
}

/// `value` as [`answer`] prints it.
pub(crate) fn told<T: Serialize>(
    global: &Global,
    value: &T,
    human: impl FnOnce(&T) -> String,
) -> Result<String> {
    match global {
        Global { json: true, .. } => json(value),
        Global { quiet: true, .. } => Ok(String::new()),
        _ => Ok(human(value)),
    }
}

/// What standard output can display.
pub(crate) fn look() -> Look {
    // Standard output alone: `console` would ask standard error when this one is a pipe.
    if !io::stdout().is_terminal() {
        return Look::default();
    }
    let terminal = console::Term::stdout();
    Look {
        width: terminal.size_checked().map(|(_rows, columns)| usize::from(columns)),
        // By NO_COLOR and TERM.
        colour: terminal.features().colors_supported(),
    }
}

/// Whether a person sees both the lines and a progress bar.
pub(crate) fn is_live() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}
