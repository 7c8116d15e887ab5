//! `webui install` and `webui uninstall`.

use std::path::{Path, PathBuf, absolute};

use anyhow::Result;
use protocol::question;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    args::{Global, WebuiInstall},
    configuration,
    daemon::Daemon,
    output,
    render::text,
    webui::{self, Folders},
};

/// A web UI that now uses the engines.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WebuiInstalled {
    /// The extension's folder in it.
    extension: String,
    /// Where it looks for checkpoints.
    models_dirs: Vec<String>,
    /// The configuration file that lists it.
    configuration: String,
}

/// A web UI that no longer uses the engines.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WebuiRemoved {
    /// Whether the extension was installed.
    removed: bool,
}

pub(super) fn install(global: &Global, install: &WebuiInstall) -> Result<()> {
    let folders = Folders::of(&install.path)?;
    let source = webui::source(install.extension.as_deref())?;
    let file = file(global)?;
    let extension = webui::link(&folders.extensions, &source, &data_dir(global)?)?;
    webui::record(&file, &folders.webui)?;
    let outcome = WebuiInstalled {
        extension: shown(&extension),
        models_dirs: folders.webui.models_dirs.iter().map(|dir| shown(dir)).collect(),
        configuration: shown(&file),
    };
    output::answer(global, &outcome, render)
}

pub(super) fn uninstall(global: &Global, path: &Path) -> Result<()> {
    let folders = Folders::of(path)?;
    let removed = webui::unlink(&folders.extensions)?;
    webui::forget(&file(global)?, &folders.webui.path)?;
    output::answer(global, &WebuiRemoved { removed }, |removal| {
        let done = if removal.removed { "was removed from" } else { "was not installed in" };
        format!("the extension {done} {}\n", text::clean(&shown(&folders.webui.path)))
    })
}

fn file(global: &Global) -> Result<PathBuf> {
    Ok(absolute(configuration::file(global))?)
}

/// The running daemon's, or else the configured one.
fn data_dir(global: &Global) -> Result<PathBuf> {
    if let Ok(mut daemon) = Daemon::connect(global) {
        return Ok(daemon.ask(question::status())?.daemon.data_dir.into());
    }
    let configured = configuration::load(global).map(|loaded| loaded.config.data_dir);
    Ok(absolute(configured.unwrap_or_else(|_| config::data_dir()))?)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn render(outcome: &WebuiInstalled) -> String {
    let mut rendered = format!(
        "the extension is installed in {}\n{} lists the web UI's folders:\n",
        text::clean(&outcome.extension),
        text::clean(&outcome.configuration)
    );
    for dir in &outcome.models_dirs {
        rendered.push_str(&format!("  {}\n", text::clean(dir)));
    }
    rendered + "run `sdtrtctl reload` and restart the web UI to use it\n"
}
