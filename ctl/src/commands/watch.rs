//! The daemon's events as they come.

use std::ops::ControlFlow;

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use protocol::{Event, Events};

use crate::{args::Global, daemon::Daemon, output, render::change::Known};

pub(super) fn run(global: &Global) -> Result<()> {
    let events = Daemon::connect(global)?.watch()?;
    let mut screen = Screen::new(global)?;
    if show(events, &mut screen)?.is_break() {
        return Ok(());
    }
    screen.clear();
    bail!("sdtrtd closed the connection: it was stopped, or this command read too slowly")
}

fn show(events: Events, screen: &mut Screen) -> Result<ControlFlow<()>> {
    for event in events {
        let event = event.context("lost the connection to sdtrtd")?;
        if screen.take(event)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// What is drawn of a running job, and where there is no room for a bar beside its name.
const WITH_BAR: &str = "{wide_msg}  {prefix}  {bar:30}  {pos:>3} %";
const NARROW: &str = "{wide_msg}  {prefix}  {pos:>3} %";
const ROOM: usize = 76;

/// Lines for changes, and on a terminal progress bars below them.
pub(super) struct Screen {
    pub(super) known: Known,
    below: MultiProgress,
    /// For the running jobs, on a terminal.
    bars: Vec<ProgressBar>,
    style: ProgressStyle,
    is_live: bool,
    as_json: bool,
    quiet: bool,
}

impl Screen {
    pub(super) fn new(global: &Global) -> Result<Self> {
        let is_narrow = output::look().width.is_some_and(|width| width < ROOM);
        let style = ProgressStyle::with_template(if is_narrow { NARROW } else { WITH_BAR })?;
        let Global { json: as_json, quiet, .. } = *global;
        let is_live = output::is_live() && !as_json && !quiet;
        let known = Known::default();
        let below = MultiProgress::new();
        Ok(Self { known, below, bars: Vec::new(), style, is_live, as_json, quiet })
    }

    pub(super) fn take(&mut self, event: Event) -> Result<ControlFlow<()>> {
        if self.as_json {
            return output::say_on(&output::json(&event)?);
        }
        // If there are bars, they show the phases.
        let is_on_bar = self.is_live && matches!(event, Event::Building(_));
        let line = self.known.apply(event).filter(|_| !is_on_bar && !self.quiet);
        let said = line.map_or(Ok(ControlFlow::Continue(())), |line| self.say(&(line + "\n")))?;
        if self.is_live {
            self.draw();
        }
        Ok(said)
    }

    fn say(&self, line: &str) -> Result<ControlFlow<()>> {
        self.below.suspend(|| output::say_on(line))
    }

    fn draw(&mut self) {
        let progress = self.known.progress();
        self.clear_from(progress.len());
        for (number, progress) in progress.into_iter().enumerate() {
            if self.bars.len() == number {
                let bar = ProgressBar::new(100).with_style(self.style.clone());
                self.bars.push(self.below.add(bar));
            }
            let bar = &self.bars[number];
            bar.set_message(progress.doing);
            bar.set_prefix(progress.left);
            bar.set_position(progress.percent.into());
        }
    }

    pub(super) fn clear(&mut self) {
        self.clear_from(0);
    }

    /// Removes all bars but the first `count`.
    fn clear_from(&mut self, count: usize) {
        for bar in self.bars.drain(count.min(self.bars.len())..) {
            bar.finish_and_clear();
            self.below.remove(&bar);
        }
    }
}
