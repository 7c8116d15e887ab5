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
    webui::{self, Folders, FrontEnd},
};

/// A web UI that now uses the engines.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WebuiInstalled {
    /// What it is.
    front_end: &'static str,
    /// The extension's folder in it.
    extension: String,
    /// Where it looks for checkpoints.
    models_dirs: Vec<String>,
    /// The configuration file that lists it.
    configuration: String,
    /// What else there is to do or to know.
    advice: Vec<String>,
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
    let extension = webui::link(&folders, &source, &data_dir(global)?)?;
    webui::record(&file, &folders.webui)?;
    let outcome = WebuiInstalled {
        front_end: folders.front_end.name(),
        extension: shown(&extension),
        models_dirs: folders.webui.models_dirs.iter().map(|dir| shown(dir)).collect(),
        advice: advice(&folders, is_asked(global), &file),
        configuration: shown(&file),
    };
    output::answer(global, &outcome, render)
}

pub(super) fn uninstall(global: &Global, path: &Path) -> Result<()> {
    let folders = Folders::of(path)?;
    let removed = webui::unlink(&folders)?;
    webui::forget(&file(global)?, &folders.webui.path)?;
    output::answer(global, &WebuiRemoved { removed }, |removal| {
        let done = if removal.removed { "was removed from" } else { "was not installed in" };
        format!("the extension {done} {}\n", text::clean(&shown(&folders.webui.path)))
    })
}

/// Whether sdtrtd asks a web UI if it makes images.
fn is_asked(global: &Global) -> bool {
    configuration::load(global).is_ok_and(|loaded| loaded.config.webui_url.is_some())
}

/// What the web UI does at its next start, and what keeps sdtrtd from seeing when it makes images.
fn advice(folders: &Folders, is_asked: bool, file: &Path) -> Vec<String> {
    let bindings = "the Python package of TensorRT-RTX, about 90 MB";
    if folders.front_end == FrontEnd::ComfyUi {
        return vec![
            format!("install {bindings}: {}", pip(folders)),
            "put the node 'Apply TensorRT engine' behind a checkpoint loader: its templates have two examples"
                .to_owned(),
        ];
    }
    let skips = ["--skip-install", "--skip-prepare-environment"];
    let mut advice = vec![match skips.iter().find(|flag| folders.has_flag(flag)) {
        Some(flag) => format!(
            "it runs with {flag}: start it once without, and with network access, to install {bindings}"
        ),
        None => format!("at its next start, which needs network access, it installs {bindings}"),
    }];
    if !folders.has_api() {
        let file = folders.settings;
        advice.push(format!(
            "add --api to COMMANDLINE_ARGS in {file}, so that sdtrtd can tell when it makes images"
        ));
    }
    if !is_asked {
        let url = folders.url();
        advice.push(format!("set webui_url = \"{url}\" in {}, for the same reason", shown(file)));
    }
    advice
}

/// The command that installs the bindings with ComfyUI's own Python, where it is known.
fn pip(folders: &Folders) -> String {
    let own = ["venv", ".venv"].map(|name| folders.webui.path.join(name).join("bin/python"));
    let python = own.into_iter().find(|python| python.exists());
    let python = python.map_or_else(|| "python".to_owned(), |python| shown(&python));
    let requirements = shown(&folders.extensions.join("sdtrt/requirements.txt"));
    let words =
        [&python, "-m", "pip", "install", "--no-deps", "--require-hashes", "-r", &requirements];
    // A path with a NUL, which no file has, can't be quoted.
    shlex::try_join(words).unwrap_or_default()
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
        "this is {}: the extension is installed in {}\n{} lists its folders:\n",
        outcome.front_end,
        text::clean(&outcome.extension),
        text::clean(&outcome.configuration)
    );
    for dir in &outcome.models_dirs {
        rendered.push_str(&format!("  {}\n", text::clean(dir)));
    }
    rendered.push_str("run `sdtrtctl reload` and restart the web UI to use it\n");
    for line in &outcome.advice {
        rendered.push_str(&format!("- {}\n", text::clean(line)));
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comfyui_gets_the_bindings_by_pip() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().canonicalize().unwrap();
        for made in ["comfy", "venv/bin"] {
            std::fs::create_dir_all(own.join(made)).unwrap();
        }
        std::fs::write(own.join("comfy/model_patcher.py"), "").unwrap();
        let told = |python: &str| {
            let advice = advice(&Folders::of(&own).unwrap(), false, Path::new("/f"));
            let file = own.join("custom_nodes/sdtrt/requirements.txt");
            let pip =
                format!("{python} -m pip install --no-deps --require-hashes -r {}", file.display());
            assert!(advice[0].ends_with(&format!("about 90 MB: {pip}")), "{advice:?}");
            assert!(advice.len() == 2 && advice[1].contains("Apply TensorRT engine"), "{advice:?}");
        };
        told("python");
        let python = own.join("venv/bin/python");
        std::fs::write(&python, "").unwrap();
        told(&shown(&python));
    }

    #[test]
    fn what_else_there_is_to_do_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("modules")).unwrap();
        std::fs::write(dir.path().join("modules/sd_unet.py"), "").unwrap();
        for (flags, is_asked, told) in [
            (
                "",
                false,
                &["it installs the Python", "add --api", "\"http://127.0.0.1:7860\" in /f"][..],
            ),
            ("--api --port 7999", false, &["about 90 MB", "webui_url = \"http://127.0.0.1:7999\""]),
            ("--nowebui --skip-install", true, &["it runs with --skip-install"]),
            ("--api --skip-prepare-environment", true, &["with --skip-prepare-environment"]),
        ] {
            let settings = format!("export COMMANDLINE_ARGS=\"{flags}\"\n");
            std::fs::write(dir.path().join("webui-user.sh"), settings).unwrap();
            let folders = Folders::of(dir.path()).unwrap();
            let advice = advice(&folders, is_asked, Path::new("/f"));
            assert_eq!(advice.len(), told.len(), "{flags}: {advice:?}");
            for (line, part) in advice.iter().zip(told) {
                assert!(line.contains(part), "{flags}: {line}");
            }
        }
    }
}
