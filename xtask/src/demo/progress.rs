//! Shows the progress of builds in one line on standard error.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use protocol::{Building, Checkpoint, Client, State, Status, Task};

use crate::{daemon, process};

const PAUSE: Duration = Duration::from_millis(500);

/// An hour: enough for a slow disk and one core.
const LIMIT: Duration = Duration::from_secs(3600);

/// The time limit for the daemon to find the libraries after its start.
const SEARCH: Duration = Duration::from_secs(30);

/// Characters of a whole bar.
const WIDTH: usize = 24;

/// Waits until the one checkpoint is ready.
pub(crate) fn until_ready(client: &mut Client) -> Result<()> {
    let mut line = Line::default();
    let started = Instant::now();
    let result = process::until("building the engine", LIMIT, PAUSE, || {
        let (status, list) = (daemon::status(client)?, daemon::list(client)?);
        line.show(&Progress::of(&status, list.first()))?;
        let reason = |c: &Checkpoint| c.reason.clone().unwrap_or_default();
        match list.first() {
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
        let (status, list) = (daemon::status(client)?, daemon::list(client)?);
        line.show(&Progress::of(&status, list.first()))?;
        Ok((status.building.is_empty() && status.queue.is_empty()).then_some(()))
    });
    line.end()?;
    result
}

/// How far a checkpoint's engines are.
#[derive(PartialEq)]
struct Progress {
    /// Engines that are there, and that it should have.
    engines: (usize, usize),
    /// What is done now.
    now: String,
    /// How much of all is done, from 0 to 1.
    done: f64,
}

impl Progress {
    fn of(status: &Status, checkpoint: Option<&Checkpoint>) -> Self {
        let (have, lack) = checkpoint.map_or((0, 0), |c| (c.engines.len(), c.coming.len()));
        let engines = (have, have + lack);
        let begun: f64 = status.building.iter().map(built).sum();
        let done =
            if have + lack == 0 { 0.0 } else { (have as f64 + begun) / (have + lack) as f64 };
        let now = match (&status.building[..], checkpoint) {
            ([], None) => "looking for checkpoints".to_owned(),
            ([], Some(checkpoint)) => checkpoint.state.to_string(),
            (jobs, _) => jobs.iter().map(job).collect::<Vec<_>>().join(", "),
        };
        Self { engines, now, done: done.min(1.0) }
    }

    /// For a line without a bar.
    fn text(&self) -> String {
        match self.engines {
            (_, 0) => self.now.clone(),
            (have, all) => format!("{have} of {all} engines; {}", self.now),
        }
    }

    fn bar(&self) -> String {
        let full = (self.done * WIDTH as f64) as usize;
        format!("{}{}  {}", "█".repeat(full), "░".repeat(WIDTH - full), self.text())
    }
}

/// What a worker does.
fn job(job: &Building) -> String {
    let what = match job.task {
        Task::Validate => "validating",
        Task::Build | Task::Materialize => "building",
    };
    format!("{what} {}", job.preset)
}

/// How much of an engine is built. Nearly all of the time goes into one phase.
fn built(job: &Building) -> f64 {
    match (job.task, job.phase.as_str()) {
        (Task::Build, "build") => f64::from(job.percent) / 100.0,
        (Task::Build, "write" | "publish") => 1.0,
        _ => 0.0,
    }
}

/// Overwrites its line, a bar, on a terminal. Elsewhere it prints a line for each change.
#[derive(Default)]
struct Line {
    last: String,
}

impl Line {
    fn show(&mut self, progress: &Progress) -> io::Result<()> {
        let mut out = io::stderr();
        if out.is_terminal() {
            // Back to the start of the line, and clear what a longer text left.
            write!(out, "\r{}\x1b[K", progress.bar())?;
            return out.flush();
        }
        let text = progress.text();
        if text != self.last {
            writeln!(out, "{text}")?;
            self.last = text;
        }
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        let mut out = io::stderr();
        if out.is_terminal() { writeln!(out) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use protocol::EntryKey;

    use super::*;

    #[test]
    fn a_bar_shows_what_is_done_and_a_line_what_is_going_on() {
        let progress = |engines, now: &str, done| Progress { engines, now: now.to_owned(), done };
        for (shown, text, full) in [
            (progress((0, 0), "settling", 0.0), "settling", 0),
            (progress((0, 6), "queued", 0.0), "0 of 6 engines; queued", 0),
            (progress((2, 6), "building 512x512", 0.5), "2 of 6 engines; building 512x512", 12),
            (progress((6, 6), "ready", 1.0), "6 of 6 engines; ready", 24),
        ] {
            assert_eq!(shown.text(), text);
            let bar = shown.bar();
            assert_eq!(bar.matches('█').count(), full, "{bar}");
            assert_eq!(bar.matches(['█', '░']).count(), WIDTH, "{bar}");
            assert!(bar.ends_with(text), "{bar}");
        }
    }

    #[test]
    fn an_engine_counts_by_its_longest_phase() {
        let job = |task, phase: &str, percent| Building {
            task,
            weights_id: EntryKey::Path("/m/a.safetensors".into()),
            preset: "default".into(),
            phase: phase.into(),
            percent,
            elapsed_s: 1,
            gpu: None,
        };
        for (task, phase, percent, expected) in [
            (Task::Build, "parse", 90, 0.0),
            (Task::Build, "build", 50, 0.5),
            (Task::Build, "write", 0, 1.0),
            (Task::Validate, "prove", 50, 0.0),
        ] {
            assert_eq!(built(&job(task, phase, percent)), expected, "{phase}");
        }
    }
}
