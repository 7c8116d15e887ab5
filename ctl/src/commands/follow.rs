//! `build --follow`: requests a build and shows its progress until it finishes.

use anyhow::{Context, Result, bail};
use protocol::{Checkpoint, EntryKey, Event, State, question};

use super::watch::Screen;
use crate::{
    args::{Build, Global},
    daemon::Daemon,
    output,
    reference::reference,
    render::change,
};

pub(super) fn run(global: &Global, build: &Build) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = reference(&mut daemon, &build.which.reference)?;
    let asked = daemon.ask(question::build(reference, build.now))?;
    drop(daemon);
    let is_told = !is_ended(&asked);
    let ended = if is_told { follow(global, &asked.key())? } else { asked };
    output::answer(global, &ended, |ended| match is_told {
        true => String::new(),
        false => change::one(ended) + "\n",
    })?;
    match ended.state {
        State::Ready => Ok(()),
        state => bail!("the build finished, but the checkpoint is {state}"),
    }
}

/// Watches until the checkpoint's build has finished.
fn follow(global: &Global, key: &EntryKey) -> Result<Checkpoint> {
    let events = Daemon::connect(global)?.watch()?;
    // Only the result is printed as JSON; progress is for people.
    let mut screen =
        Screen::new(&Global { quiet: global.quiet || global.json, json: false, ..global.clone() })?;
    for event in events {
        let event = event.context("lost the connection to sdtrtd")?;
        if let Event::State { status, .. } = &event
            && let (Some(gate), false) = (&status.gate, global.quiet)
        {
            eprintln!("waiting: {}", crate::render::text::clean(gate));
        }
        let is_other = matches!(&event, Event::Checkpoint(other) if other.key() != *key);
        if is_other {
            continue;
        }
        if screen.take(event)?.is_break() {
            bail!("standard output was closed");
        }
        if let Some(checkpoint) = screen.known.checkpoint(key).filter(|found| is_ended(found)) {
            let checkpoint = checkpoint.clone();
            screen.clear();
            return Ok(checkpoint);
        }
    }
    screen.clear();
    bail!("sdtrtd closed the connection: it was stopped, or this command read too slowly")
}

fn is_ended(checkpoint: &Checkpoint) -> bool {
    match checkpoint.state {
        State::Settling | State::Identifying | State::Queued | State::Building => false,
        State::Ready
        | State::Failed
        | State::Rejected
        | State::Off
        | State::Away
        | State::Orphaned
        | State::Retired => true,
    }
}
