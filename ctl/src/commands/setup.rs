//! From nothing to a running daemon, in at most three questions.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use config::runtime::{ONNX_RUNTIME, TENSORRT_RTX};
use protocol::Machine;
use schemars::JsonSchema;
use serde::Serialize;
use toml::Value;

use crate::{
    args::{Global, Setup},
    ask, configuration, exit, output,
    render::text,
    runtime, sdtrtd,
    webui::{Found, around, installed},
};

/// The web UI's default address.
const WEBUI_URL: &str = "http://127.0.0.1:7860";

/// What was set up.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {
    /// The configuration file.
    file: String,
    /// It existed before, and was not changed.
    kept: bool,
    /// Folders of checkpoints in it.
    models_dirs: Vec<String>,
    /// The TensorRT-RTX that engines are built with.
    tensorrt: Option<String>,
    /// The version of ONNX Runtime that engines are validated against.
    onnx_runtime: Option<&'static str>,
    /// NVIDIA GPUs.
    gpus: Vec<String>,
    /// sdtrtd was started, and will start at every login.
    started: bool,
}

pub(super) fn run(global: &Global, setup: &Setup) -> Result<()> {
    // This user's, even if the system's daemon has one.
    let file = global.config.clone().unwrap_or_else(config::config_file);
    let kept = file.exists();
    if !kept {
        write(&file, setup)?;
    }
    let own = Global { config: Some(file.clone()), ..global.clone() };
    let loaded = configuration::load(&own)?;
    loaded.check(&configuration::architectures())?;
    let machine = sdtrtd::probe(&own)?;
    let data_dir = &loaded.config.data_dir;
    fetch(data_dir, &machine, setup.yes)?;
    let fetched = || TENSORRT_RTX.is_installed(data_dir).then_some(TENSORRT_RTX.version);
    let tensorrt = match &machine.runtime {
        Some(runtime) => Some(format!("{} {}", runtime.flavour, runtime.version)),
        None => fetched().map(|version| format!("tensorrt-rtx {version}")),
    };
    let done = Done {
        file: file.display().to_string(),
        kept,
        models_dirs: loaded
            .config
            .models_dirs
            .iter()
            .map(|dir| dir.display().to_string())
            .collect(),
        tensorrt,
        onnx_runtime: ONNX_RUNTIME.is_installed(data_dir).then_some(ONNX_RUNTIME.version),
        gpus: machine.gpus.into_iter().map(|gpu| gpu.name).collect(),
        started: start(setup.yes)?,
    };
    output::answer(global, &done, render)
}

/// Asks for the models folders, and writes the documented file with what it found.
fn write(file: &Path, setup: &Setup) -> Result<()> {
    let installed = installed(&env::home_dir().unwrap_or_default());
    for error in &installed.unclear {
        eprintln!("sdtrtctl: {}", text::clean_lines(&exit::describe(error)));
    }
    let dirs = match setup.models_dirs.as_slice() {
        [] => models_dirs(&installed.found, setup.yes)?,
        named => named.iter().map(std::path::absolute).collect::<Result<_, _>>()?,
    };
    for dir in &dirs {
        if !dir.is_dir() {
            bail!("{} is not a folder; choose one with --models-dir DIR", dir.display());
        }
    }
    let text = filled(&dirs, around(&dirs).found.iter().any(|webui| webui.has_flag("--api")))?;
    Ok(config::replace(file, &text)?)
}

fn models_dirs(found: &[Found], yes: bool) -> Result<Vec<PathBuf>> {
    let dirs = found.iter().flat_map(|found| &found.folders.webui.models_dirs);
    // Not every front end has each of its folders.
    let there = dirs.filter(|dir| dir.is_dir());
    let proposed: Vec<_> = there.map(|dir| dir.display().to_string()).collect();
    if yes {
        if proposed.is_empty() {
            bail!("no web UI was found; choose the folder of checkpoints with --models-dir DIR");
        }
        return Ok(proposed.into_iter().map(PathBuf::from).collect());
    }
    let question = "Folders of checkpoints, separated by colons";
    let typed = ask::text(question, &proposed.join(":"))?;
    let home = env::home_dir().unwrap_or_default();
    let path = |text: &str| match text.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => PathBuf::from(text),
    };
    let typed: Vec<_> = typed.split(':').map(str::trim).filter(|text| !text.is_empty()).collect();
    if typed.is_empty() {
        bail!("sdtrtd needs a folder of checkpoints; choose one with --models-dir DIR");
    }
    Ok(typed.iter().map(|text| std::path::absolute(path(text))).collect::<Result<_, _>>()?)
}

/// The documented file for these folders, with the web UI's address if it has an API.
fn filled(dirs: &[PathBuf], has_api: bool) -> Result<String> {
    let dirs: Option<Vec<&str>> = dirs.iter().map(|dir| dir.to_str()).collect();
    let dirs = dirs.context("a path is not UTF-8; start sdtrtd with --models-dir instead")?;
    let mut values = vec![("models_dirs", Value::from(dirs).to_string())];
    if has_api {
        values.push(("webui_url", Value::from(WEBUI_URL).to_string()));
    }
    Ok(config::filled(values))
}

/// Asks whether to download what is missing. Without a GPU to validate engines on, ONNX Runtime alone is
/// not worth a question.
fn fetch(data_dir: &Path, machine: &Machine, yes: bool) -> Result<()> {
    let has_tensorrt = machine.runtime.is_some();
    let has_onnx_runtime = ONNX_RUNTIME.is_installed(data_dir);
    let (what, megabytes) = match (has_tensorrt, has_onnx_runtime) {
        (false, false) => (
            format!("TensorRT-RTX {} and ONNX Runtime", TENSORRT_RTX.version),
            TENSORRT_RTX.download_mb + ONNX_RUNTIME.download_mb,
        ),
        (false, true) => {
            (format!("TensorRT-RTX {}", TENSORRT_RTX.version), TENSORRT_RTX.download_mb)
        }
        (true, false) if !machine.gpus.is_empty() => {
            ("ONNX Runtime, for validating engines,".to_owned(), ONNX_RUNTIME.download_mb)
        }
        (true, _) => return Ok(()),
    };
    if !yes && !ask::yes(&format!("Download {what} ({megabytes} MB)?"), true)? {
        return Ok(());
    }
    if !has_tensorrt {
        runtime::install(data_dir, &TENSORRT_RTX, None)?;
    }
    if let Err(error) = runtime::install(data_dir, &ONNX_RUNTIME, None) {
        eprintln!("sdtrtctl: {}", text::clean_lines(&exit::describe(&error)));
    }
    Ok(())
}

/// If the user's systemd has the unit, asks whether to start it.
fn start(yes: bool) -> Result<bool> {
    let systemctl = |arguments: &[&str]| {
        let run = Command::new("systemctl")
            .arg("--user")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        run.is_ok_and(|status| status.success())
    };
    if !systemctl(&["cat", "sdtrtd.service"]) {
        return Ok(false);
    }
    if !yes && !ask::yes("Start sdtrtd now and at every login?", true)? {
        return Ok(false);
    }
    if !systemctl(&["enable", "--now", "sdtrtd"]) {
        bail!("`systemctl --user enable --now sdtrtd` failed; see `journalctl --user -u sdtrtd`");
    }
    Ok(true)
}

fn render(done: &Done) -> String {
    let Done { file, kept, models_dirs, tensorrt, onnx_runtime, gpus, started } = done;
    let written = if *kept { "exists, and was not changed" } else { "was written" };
    let or_none =
        |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let next = if *started {
        "sdtrtd is running; `sdtrtctl watch` shows what it does"
    } else {
        "start it with `sdtrtd`; `sdtrtctl doctor` checks the setup"
    };
    const FETCH: &str = "none; `sdtrtctl runtime install` downloads it";
    text::clean_lines(&format!(
        "{file} {written}\nmodels: {}\nGPUs: {}\nTensorRT: {}\nONNX Runtime: {}\n{next}\n",
        or_none(models_dirs),
        or_none(gpus),
        tensorrt.as_deref().unwrap_or(FETCH),
        onnx_runtime.unwrap_or(FETCH),
    ))
    .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_folders_and_a_web_ui_that_can_be_asked() {
        let dirs = [PathBuf::from("/a/models"), PathBuf::from("/b \"x\"")];
        for (has_api, url) in [(false, None), (true, Some(WEBUI_URL))] {
            let written: config::Config = toml::from_str(&filled(&dirs, has_api).unwrap()).unwrap();
            assert_eq!(written.models_dirs, dirs);
            assert_eq!(written.webui_url.as_deref(), url);
        }
    }

    #[test]
    fn what_was_done_is_told() {
        let done = Done {
            file: "/home/me/.config/sdtrt/sdtrtd.toml".into(),
            kept: false,
            models_dirs: vec!["/m".into()],
            tensorrt: None,
            onnx_runtime: Some("1.32.0"),
            gpus: vec![],
            started: false,
        };
        insta::assert_snapshot!(render(&done), @r"
        /home/me/.config/sdtrt/sdtrtd.toml was written
        models: /m
        GPUs: none
        TensorRT: none; `sdtrtctl runtime install` downloads it
        ONNX Runtime: 1.32.0
        start it with `sdtrtd`; `sdtrtctl doctor` checks the setup
        ");
    }
}
