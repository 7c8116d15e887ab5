//! `webui install` and `webui uninstall`.

use std::path::{Path, PathBuf, absolute};

use anyhow::Result;
use protocol::Request;
use serde::Serialize;

use crate::{
    args::{Global, WebuiInstall},
    daemon::{self, Daemon},
    output,
    render::text,
    webui::{self, Folders},
};

#[derive(Serialize)]
struct Outcome {
    extension: String,
    models_dirs: Vec<String>,
    lora_dirs: Vec<String>,
    configuration: String,
}

#[derive(Serialize)]
struct Removal {
    removed: bool,
}

pub(super) fn install(global: &Global, install: &WebuiInstall) -> Result<()> {
    let folders = Folders::of(&install.path)?;
    let source = webui::source(install.extension.as_deref())?;
    let configuration = configuration(global)?;
    let extension = webui::link(&folders.extensions, &source, &data_dir(global)?)?;
    webui::record(&configuration, &folders.webui)?;
    let texts = |paths: &[PathBuf]| paths.iter().map(|path| shown(path)).collect();
    let outcome = Outcome {
        extension: shown(&extension),
        models_dirs: texts(&folders.webui.models_dirs),
        lora_dirs: texts(&folders.webui.lora_dirs),
        configuration: shown(&configuration),
    };
    output::answer(global.json, &outcome, render)
}

pub(super) fn uninstall(global: &Global, path: &Path) -> Result<()> {
    let folders = Folders::of(path)?;
    let removed = webui::unlink(&folders.extensions)?;
    webui::forget(&configuration(global)?, &folders.webui.path)?;
    output::answer(global.json, &Removal { removed }, |removal| {
        let done = if removal.removed { "is removed from" } else { "was not in" };
        format!("the extension {done} {}\n", text::clean(&shown(&folders.webui.path)))
    })
}

fn configuration(global: &Global) -> Result<PathBuf> {
    Ok(absolute(global.config.clone().unwrap_or_else(config::config_file))?)
}

/// The running daemon's, or else the configured one.
fn data_dir(global: &Global) -> Result<PathBuf> {
    if let Ok(mut daemon) = Daemon::connect(global) {
        return Ok(daemon.status(&Request::Status)?.daemon.data_dir.into());
    }
    let configured = daemon::configuration(global).ok().flatten();
    Ok(absolute(configured.map_or_else(config::data_dir, |found| found.data_dir))?)
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn render(outcome: &Outcome) -> String {
    let mut rendered = format!(
        "the extension is in {}\n{} names the web UI and its folders:\n",
        text::clean(&outcome.extension),
        text::clean(&outcome.configuration)
    );
    for dir in outcome.models_dirs.iter().chain(&outcome.lora_dirs) {
        rendered.push_str(&format!("  {}\n", text::clean(dir)));
    }
    rendered + "restart sdtrtd and the web UI to have them see it\n"
}
