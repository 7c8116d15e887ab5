//! One question, one answer.

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use protocol::{Checkpoint, FileNames, Id, Materialized, Question, question};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    args::{Check, Global},
    daemon::Daemon,
    output,
    reference::reference,
    render::{bench, change, coverage, list, names, overview, show, status, text, verify, webui},
};

pub(super) fn overview(global: &Global) -> Result<()> {
    let mut daemon = Daemon::connect(global).map_err(|error| {
        let told = overview::without_daemon(&error.to_string());
        error.context(told)
    })?;
    let status = daemon.ask(question::status())?;
    output::answer(global, &status, |status| overview::render(status, output::look()))
}

pub(super) fn status(global: &Global) -> Result<()> {
    let status = Daemon::connect(global)?.ask(question::status())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    output::answer(global, &status, |status| status::render(status, now, output::look()))
}

pub(super) fn list(global: &Global) -> Result<()> {
    let checkpoints = Daemon::connect(global)?.ask(question::list())?;
    output::answer(global, &checkpoints, |all| list::render(all, output::look()))
}

pub(super) fn names(global: &Global) -> Result<()> {
    let files = Daemon::connect(global)?.ask(question::names(None))?;
    output::answer(global, &files, |files| names::render(files))
}

/// A checkpoint, and what its files are known by.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Shown {
    #[serde(flatten)]
    checkpoint: Checkpoint,
    /// By location.
    files: Vec<FileNames>,
}

pub(super) fn show(global: &Global, typed: &OsStr) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = reference(&mut daemon, typed)?;
    let checkpoint = daemon.ask(question::show(reference))?;
    let files = match checkpoint.locations.first() {
        Some(location) => daemon.ask(question::names(Some(location.clone())))?,
        None => Vec::new(),
    };
    let shown = Shown { checkpoint, files };
    output::answer(global, &shown, |Shown { checkpoint, files }| show::render(checkpoint, files))
}

pub(super) fn check(global: &Global, check: &Check) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let typed = check.reference.as_deref();
    let reference = typed.map(|typed| reference(&mut daemon, typed)).transpose()?;
    let coverage = daemon.ask(question::check(reference, check.image()))?;
    output::answer(global, &coverage, |all| coverage::render(all, output::look()))?;
    match coverage::complaint(&coverage) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}

pub(super) fn build(global: &Global, typed: &OsStr, now: bool) -> Result<()> {
    let question = |reference| question::build(reference, now);
    checkpoint(global, typed, question, |checkpoint| change::one(checkpoint) + "\n")
}

pub(super) fn retry(global: &Global, typed: &OsStr) -> Result<()> {
    checkpoint(global, typed, question::retry, |checkpoint| change::one(checkpoint) + "\n")
}

pub(super) fn bench(global: &Global, typed: Option<&OsStr>, page: Option<&Path>) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let checkpoints = match typed {
        Some(typed) => {
            let reference = reference(&mut daemon, typed)?;
            vec![daemon.ask(question::show(reference))?]
        }
        None => daemon.ask(question::list())?,
    };
    let benched = bench::engines(&checkpoints);
    if let Some(page) = page {
        let written = fs::write(page, bench::page::render(&benched));
        written.with_context(|| format!("cannot write the page {}", page.display()))?;
    }
    output::answer(global, &benched, |all| bench::render(all, output::look()))
}

pub(super) fn materialize(global: &Global, typed: &OsStr, output: &Path) -> Result<()> {
    let absolute = std::path::absolute(output)
        .with_context(|| format!("cannot resolve the path '{}'", output.display()))?;
    let Some(path) = absolute.to_str() else {
        bail!("the path {} is not UTF-8; choose another one", absolute.display());
    };
    let mut daemon = Daemon::connect(global)?;
    let question = question::materialize(reference(&mut daemon, typed)?, path.to_owned());
    let spinner = ProgressBar::new_spinner();
    spinner.set_message("building; `sdtrtctl status` shows the progress");
    spinner.enable_steady_tick(Duration::from_millis(100));
    let materialized = daemon.ask(question);
    spinner.finish_and_clear();
    let materialized = materialized?;
    output::answer(global, &materialized, |Materialized { path, bytes }| {
        format!("wrote {}: {}\n", text::clean(path), text::size(*bytes))
    })
}

pub(super) fn pause(global: &Global, seconds: Option<f64>) -> Result<()> {
    let status = Daemon::connect(global)?.ask(question::pause(seconds))?;
    output::answer(global, &status, |status| {
        let said = status.gate.as_deref().unwrap_or("paused; `sdtrtctl resume` continues");
        format!("{}\n", text::clean(said))
    })
}

pub(super) fn resume(global: &Global) -> Result<()> {
    let status = Daemon::connect(global)?.ask(question::resume())?;
    output::answer(global, &status, |status| format!("resumed; {}\n", status::next(status)))
}

fn checkpoint(
    global: &Global,
    typed: &OsStr,
    question: impl FnOnce(String) -> Question<Checkpoint>,
    human: impl FnOnce(&Checkpoint) -> String,
) -> Result<()> {
    let mut daemon = Daemon::connect(global)?;
    let reference = reference(&mut daemon, typed)?;
    let checkpoint = daemon.ask(question(reference))?;
    output::answer(global, &checkpoint, human)
}

/// A deleted engine.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Removal {
    /// Its key.
    removed: Id,
}

pub(super) fn remove(global: &Global, engine: &str) -> Result<()> {
    let removed = Daemon::connect(global)?.ask(question::remove(engine.to_owned()))?;
    output::answer(global, &Removal { removed }, |removal| {
        format!("removed {}\n", removal.removed.short())
    })
}

pub(super) fn verify(global: &Global) -> Result<()> {
    let verdicts = Daemon::connect(global)?.ask(question::verify())?;
    output::answer(global, &verdicts, |all| verify::render(all, output::look()))?;
    match verify::complaint(&verdicts) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}

pub(super) fn verify_checkpoints(global: &Global) -> Result<()> {
    let verdicts = Daemon::connect(global)?.ask(question::verify_checkpoints())?;
    output::answer(global, &verdicts, |all| verify::render_checkpoints(all, output::look()))?;
    match verify::checkpoints_complaint(&verdicts) {
        Some(complaint) => bail!(complaint),
        None => Ok(()),
    }
}

pub(super) fn webuis(global: &Global) -> Result<()> {
    let indexes = Daemon::connect(global)?.ask(question::webuis())?;
    output::answer(global, &indexes, |all| webui::render(all))
}
