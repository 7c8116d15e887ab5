//! The daemon's events as they come.

use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::{Event, Events};

use crate::{args::Global, daemon::Daemon, output, render::change::Known};

pub(super) fn run(global: &Global) -> Result<()> {
    let events = Daemon::connect(global)?.watch()?;
    let mut screen = Screen::new(global)?;
    if show(events, &mut screen)?.is_break() {
        return Ok(());
    }
    screen.clear();
    bail!("sdtrtd ended the connection: it was stopped, or this watch read too slowly")
}

fn show(events: Events, screen: &mut Screen) -> Result<ControlFlow<()>> {
    for event in events {
        let event = event.context("the connection to sdtrtd broke")?;
        if screen.take(event)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Lines for what has changed, and on a terminal a progress bar below them.
pub(super) struct Screen {
    pub(super) known: Known,
    /// Of the build that goes on, on a terminal.
    bar: Option<ProgressBar>,
    style: ProgressStyle,
    is_live: bool,
    as_json: bool,
    quiet: bool,
}

impl Screen {
    pub(super) fn new(global: &Global) -> Result<Self> {
        let style = ProgressStyle::with_template("{wide_msg}  {prefix}  {bar:30}  {pos:>3} %")?;
        let Global { json: as_json, quiet, .. } = *global;
        let is_live = output::is_live() && !as_json && !quiet;
        Ok(Self { known: Known::default(), bar: None, style, is_live, as_json, quiet })
    }

    pub(super) fn take(&mut self, event: Event) -> Result<ControlFlow<()>> {
        if self.as_json {
            return output::say_on(&output::json(&event)?);
        }
        // The bar tells a build's phases where there is one.
        let is_on_bar = self.is_live && matches!(event, Event::Building(_));
        let line = self.known.apply(event).filter(|_| !is_on_bar && !self.quiet);
        let said = line.map_or(Ok(ControlFlow::Continue(())), |line| self.say(&(line + "\n")))?;
        if self.is_live {
            self.draw();
        }
        Ok(said)
    }

    fn say(&self, line: &str) -> Result<ControlFlow<()>> {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::say_on(line)),
            None => output::say_on(line),
        }
    }

    fn draw(&mut self) {
        let Some(progress) = self.known.progress() else { return self.clear() };
        let bar =
            self.bar.get_or_insert_with(|| ProgressBar::new(100).with_style(self.style.clone()));
        bar.set_message(progress.doing);
        bar.set_prefix(progress.left);
        bar.set_position(progress.percent.into());
    }

    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
