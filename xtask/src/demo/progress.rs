//! Shows the progress of builds in one line on standard error.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use protocol::{Checkpoint, Client, State, Status};

use crate::{daemon, process};

const PAUSE: Duration = Duration::from_millis(500);

/// An hour: enough for a slow disk and one core.
const LIMIT: Duration = Duration::from_secs(3600);

/// The time limit for the daemon to find the libraries after its start.
const SEARCH: Duration = Duration::from_secs(30);

/// Waits until the one checkpoint is ready.
pub(crate) fn until_ready(client: &mut Client) -> Result<()> {
    let mut line = Line::default();
    let started = Instant::now();
    let result = process::until("building the engine", LIMIT, PAUSE, || {
        let (status, list) = (daemon::status(client)?, daemon::list(client)?);
        let checkpoint = list.first();
        line.show(&describe(&status, checkpoint))?;
        let reason = |c: &Checkpoint| c.reason.clone().unwrap_or_default();
        match checkpoint {
            Some(c) if c.state == State::Ready => Ok(Some(())),
            Some(c) if matches!(c.state, State::Failed | State::Rejected) => {
                bail!("the checkpoint is {}: {}", c.state, reason(c))
            }
            _ => match status.runtime_problem {
                Some(problem) if started.elapsed() > SEARCH => bail!(problem),
                _ => Ok(None),
            },
        }
    });
    line.end()?;
    result
}

/// Waits until no job is running or queued, including fixed engines.
pub(crate) fn until_nothing_is_left(client: &mut Client) -> Result<()> {
    let mut line = Line::default();
    let result = process::until("waiting for the remaining engines", LIMIT, PAUSE, || {
        let status = daemon::status(client)?;
        line.show(&describe(&status, None))?;
        Ok((status.building.is_empty() && status.queue.is_empty()).then_some(()))
    });
    line.end()?;
    result
}

fn describe(status: &Status, checkpoint: Option<&Checkpoint>) -> String {
    match (status.building.first(), checkpoint) {
        (Some(b), _) => format!("building {}: {} {} %", b.preset, b.phase, b.percent),
        (None, Some(checkpoint)) => checkpoint.state.to_string(),
        (None, None) => "scanning".to_owned(),
    }
}

/// Overwrites its line on a terminal. Elsewhere it prints one line per ten percent.
#[derive(Default)]
struct Line {
    last: String,
}

impl Line {
    fn show(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stderr();
        if out.is_terminal() {
            // Back to the start of the line, and clear what a longer text left.
            write!(out, "\r{text}\x1b[K")?;
            return out.flush();
        }
        let coarse = coarse(text);
        if coarse != self.last {
            writeln!(out, "{text}")?;
            self.last = coarse;
        }
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        let mut out = io::stderr();
        if out.is_terminal() { writeln!(out) } else { Ok(()) }
    }
}

/// Drops the last digit of the percentage.
fn coarse(text: &str) -> String {
    match text.strip_suffix(" %") {
        Some(percent) if percent != "100" => match percent.rsplit_once(' ') {
            Some((phase, number)) => format!("{phase} {}", &number[..number.len() - 1]),
            None => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_printed_for_every_ten_percent() {
        for (one, other, same) in [
            ("build 1 %", "build 9 %", true),
            ("build 9 %", "build 10 %", false),
            ("build 41 %", "build 49 %", true),
            ("parse 41 %", "build 41 %", false),
            ("settling", "settling", true),
            ("settling", "queued", false),
        ] {
            assert_eq!(coarse(one) == coarse(other), same, "{one}, {other}");
        }
    }
}
