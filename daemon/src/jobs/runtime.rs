use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
};

use config::{Config, runtime};
use engine::Runtime;
use thiserror::Error;
use tokio::{process::Command, time::timeout};

use super::worker::{self, WorkerProblem};

/// Why there is no usable TensorRT-RTX.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RuntimeProblem {
    /// No library was found.
    #[error("no TensorRT-RTX libraries were found; `sdtrtctl runtime install` fetches them")]
    NotFound,
    /// The configured folder has no library.
    #[error(
        "there is no {} in the configured TensorRT folder {}; name another, or none and \
         `sdtrtctl runtime install` fetches it",
        runtime::LIBRARY,
        dir.display()
    )]
    NotThere {
        /// The configured folder.
        dir: PathBuf,
    },
    /// A library of an untested version, whose interface may differ.
    #[error(
        "{} is TensorRT-RTX {version}, which was not tested with this program and could crash it; \
         these work: {}. `sdtrtctl runtime install` fetches one",
        library.display(),
        runtime::TESTED.join(", ")
    )]
    Untested {
        /// The library.
        library: PathBuf,
        /// The version that it reports.
        version: String,
    },
    /// The worker, which reads a library's version, can't be used.
    #[error(transparent)]
    Worker(#[from] WorkerProblem),
    /// A library that can't be loaded, or whose version can't be read.
    #[error("the TensorRT-RTX library can't be used: {reason}")]
    Unusable {
        /// Which library, and the loader's message.
        reason: String,
    },
}

/// Looks for TensorRT-RTX in this order: configuration, data folder, A1111's Python environments, the
/// loader's path. The first place that has one decides, even if it can't be used, so that no one runs another
/// version than they see; among several versions in the data folder, the newest tested one is used.
///
/// # Errors
/// If there is none, or the one found can't be used.
pub async fn find_runtime(config: &Config) -> Result<Runtime, RuntimeProblem> {
    if let Some(dir) = &config.tensorrt_dir {
        if !dir.join(runtime::LIBRARY).exists() {
            return Err(RuntimeProblem::NotThere { dir: dir.clone() });
        }
        return check(Some(dir)).await;
    }
    for dir in installed(config).into_iter().chain(python_environments(&config.models_dirs)) {
        if dir.join(runtime::LIBRARY).exists() {
            return check(Some(&dir)).await;
        }
    }
    match check(None).await {
        Err(RuntimeProblem::Unusable { .. }) => Err(RuntimeProblem::NotFound),
        found => found,
    }
}

fn installed(config: &Config) -> Vec<PathBuf> {
    let newest_first = runtime::TESTED.iter().rev();
    newest_first.map(|version| runtime::installed_dir(&config.data_dir, version)).collect()
}

/// A1111's models are below its own folder, and its Python environment is `venv` in that folder.
fn python_environments(models_dirs: &[PathBuf]) -> BTreeSet<PathBuf> {
    let webuis = models_dirs.iter().flat_map(|dir| dir.ancestors());
    let libs = webuis.flat_map(|webui| {
        let versions = ["venv/lib", ".venv/lib"].map(|lib| webui.join(lib).read_dir());
        versions.into_iter().flatten().flatten().flatten()
    });
    libs.map(|python| python.path().join("site-packages/tensorrt_rtx_libs"))
        .filter(|dir| dir.is_dir())
        .collect()
}

/// Reads the library's version in a separate process: loading an unknown library can do anything.
async fn check(dir: Option<&Path>) -> Result<Runtime, RuntimeProblem> {
    let library = Runtime::library_in(dir);
    let unusable =
        |reason: &dyn fmt::Display| RuntimeProblem::Unusable { reason: reason.to_string() };
    let program = worker::program()?;
    let asked = Command::new(&program)
        .arg("--library-version")
        .arg(&library)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let silent = format!("asking for its version took over {} s", worker::PATIENCE.as_secs());
    let output = timeout(worker::PATIENCE, asked).await.map_err(|_| unusable(&silent))?;
    let output = output.map_err(|error| unusable(&error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (hello, version) = said.split_once('\n').unwrap_or((&said, ""));
    // If it ended before its hello, standard error says what is wrong.
    if !hello.is_empty() || output.status.success() {
        worker::check_hello(&program, hello)?;
    }
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it said nothing");
        let last = last.trim_start_matches("sdtrt-worker: ");
        return Err(unusable(&format!("{last} ({})", output.status)));
    }
    let version = version.trim().to_owned();
    if !runtime::TESTED.contains(&version.as_str()) {
        return Err(RuntimeProblem::Untested { library, version });
    }
    Ok(Runtime { version, libraries: dir.map(Path::to_owned) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_environment_of_a_web_ui_above_the_models_is_found() {
        let root = tempfile::tempdir().unwrap();
        let webui = root.path().join("stable-diffusion-webui");
        let libs = webui.join("venv/lib/python3.10/site-packages/tensorrt_rtx_libs");
        let models = webui.join("models/Stable-diffusion");
        fs::create_dir_all(&libs).unwrap();
        fs::create_dir_all(&models).unwrap();
        assert!(python_environments(&[models]).contains(&libs));
    }
}
