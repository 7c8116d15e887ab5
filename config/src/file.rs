use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml::Table;

use crate::{
    BuildHours, BuildWhen, ComputeCapability, EngineKind, Ignored, KEYS, Key, Mistake, Prefer,
    Preset, Rule, SharedStore, WebUi, hook, mistake::listed, paths, size,
};

/// sdtrtd's configuration: `sdtrtd.toml`, and variables and flags of the same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders of checkpoints that get engines, including subfolders.
    pub models_dirs: Vec<PathBuf>,
    /// Where engines and the cache are stored.
    pub data_dir: PathBuf,
    /// The socket for `sdtrtctl`.
    pub socket: PathBuf,
    /// The folder of the TensorRT-RTX libraries; searched for if absent.
    pub tensorrt_dir: Option<PathBuf>,
    /// GPUs to build for; if empty, all that TensorRT-RTX can build for.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// Where the engines' weights are; shared if absent.
    pub engines: Option<EngineKind>,
    /// A file is read once it has not changed for this many seconds.
    pub settle_seconds: f64,
    /// Seconds between full scans of the models folders, for changes that cause no event: on network
    /// disks and behind links.
    pub rescan_seconds: f64,
    /// What in the models folders is ignored, in gitignore's form, in addition to [`crate::IGNORED`]; `!` before a
    /// pattern gives back.
    pub ignore: Vec<String>,
    /// Maximum size of all engines together; if absent, only the disk is the limit.
    #[serde(with = "size::optional")]
    pub quota: Option<ByteSize>,
    /// No engine is built that would leave less free space than this on its disk.
    #[serde(with = "size")]
    pub min_free: ByteSize,
    /// Maximum number of shapes that get an engine of their own, for each kind of UNet.
    pub fixed_engines: usize,
    /// Days to keep the engines of a deleted checkpoint.
    pub orphan_days: f64,
    /// Whether to keep the index of the web UI's NVIDIA extension, `models/Unet-trt/model.json`, up to
    /// date when checkpoints move.
    pub keep_model_json: bool,
    /// When engines are built.
    pub build: BuildWhen,
    /// The part of each day in which jobs may start; if absent, all of it.
    pub build_hours: Option<BuildHours>,
    /// Whether jobs run while the machine draws from a battery.
    pub on_battery: bool,
    /// A build starts once the machine has been idle for this many seconds.
    pub idle_seconds: f64,
    /// What computes a call for which the web UI has measured both an engine and PyTorch.
    pub prefer: Prefer,
    /// The web UI to ask whether it is generating, such as `http://127.0.0.1:7860`; it must run with
    /// `--api`.
    pub webui_url: Option<String>,
    /// The web UIs that use the engines.
    pub webuis: Vec<WebUi>,
    /// A program and its arguments, run once a checkpoint's engines have become available; none if empty.
    pub on_ready: Vec<String>,
    /// Likewise, once an engine could not be built and won't be by itself.
    pub on_failed: Vec<String>,
    /// Whether the desktop shows both, where a session is there to show them.
    pub notifications: bool,
    /// Users, by name or number, who may make changes through the socket, besides root and the
    /// daemon's own.
    pub admins: Vec<String>,
    /// Local address that serves OpenMetrics, such as `127.0.0.1:9101`.
    pub metrics: Option<SocketAddr>,
    /// What machines share; nothing if absent.
    pub store: Option<SharedStore>,
    /// The user's own presets, in addition to the built-in ones.
    pub presets: Vec<Preset>,
    /// Which checkpoints get which presets; the first rule that matches applies.
    pub rules: Vec<Rule>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            models_dirs: Vec::new(),
            data_dir: paths::data_dir(),
            socket: paths::socket(),
            tensorrt_dir: None,
            compute_capabilities: Vec::new(),
            engines: None,
            settle_seconds: 3.0,
            rescan_seconds: 300.0,
            ignore: Vec::new(),
            quota: None,
            min_free: ByteSize::mb(500),
            fixed_engines: 12,
            orphan_days: 30.0,
            keep_model_json: false,
            build: BuildWhen::Idle,
            build_hours: None,
            on_battery: false,
            idle_seconds: 30.0,
            prefer: Prefer::Fastest,
            webui_url: None,
            webuis: Vec::new(),
            on_ready: Vec::new(),
            on_failed: Vec::new(),
            notifications: true,
            admins: Vec::new(),
            metrics: None,
            store: None,
            presets: Vec::new(),
            rules: Vec::new(),
        }
    }
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read the configuration {path}: {source}")]
    Unreadable {
        /// The configuration file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Invalid TOML, unknown keys or wrong types.
    #[error("{}", listed(.0))]
    Mistakes(Vec<Mistake>),
    /// A value that the daemon can't use.
    #[error("{key} = {value}: {wanted}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What it should be.
        wanted: String,
    },
}

impl Error {
    /// Makes an [`Error::Value`].
    pub fn value(key: impl Into<String>, value: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), wanted: wanted.into() }
    }
}

impl Config {
    /// Adds the web UIs' models folders to `models_dirs`.
    pub(crate) fn add_models_of_webuis(&mut self) {
        for webui in &self.webuis {
            let new = |dir: &&PathBuf| !self.models_dirs.contains(dir);
            let found: Vec<_> = webui.models_dirs.iter().filter(new).cloned().collect();
            self.models_dirs.extend(found);
        }
    }

    /// Makes every relative path absolute, relative to `base`.
    pub fn make_absolute(&mut self, base: &Path) {
        for path in &mut self.models_dirs {
            *path = base.join(&*path);
        }
        self.data_dir = base.join(&self.data_dir);
        self.socket = base.join(&self.socket);
        self.tensorrt_dir = self.tensorrt_dir.take().map(|path| base.join(path));
        if let Some(store) = &mut self.store {
            store.make_absolute(base);
        }
        for webui in &mut self.webuis {
            for path in &mut webui.models_dirs {
                *path = base.join(&*path);
            }
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Names the key, its value and what was expected.
    pub fn check(&self) -> Result<(), Error> {
        if self.models_dirs.is_empty() {
            return Err(Error::value(
                "models_dirs",
                "[]",
                "set at least one folder of checkpoints, with --models-dir DIR or in sdtrtd.toml",
            ));
        }
        for (key, seconds) in [
            ("settle_seconds", self.settle_seconds),
            ("rescan_seconds", self.rescan_seconds),
            ("idle_seconds", self.idle_seconds),
        ] {
            // A day is well within the range of timers.
            if !(0.01..=86_400.0).contains(&seconds) {
                let wanted = "expected 0.01 to 86400 seconds";
                return Err(Error::value(key, seconds, wanted));
            }
        }
        // A century is well within the range of times.
        if !(0.0..=36_500.0).contains(&self.orphan_days) {
            let wanted = "expected 0 to 36500 days";
            return Err(Error::value("orphan_days", self.orphan_days, wanted));
        }
        // Each takes disk space and build time, and sdtrtd tracks no more shapes than this.
        if self.fixed_engines > 64 {
            let wanted = "expected a number from 0 to 64";
            return Err(Error::value("fixed_engines", self.fixed_engines, wanted));
        }
        if let Some(url) = self.webui_url.as_ref().filter(|url| !url.starts_with("http://")) {
            let wanted = "expected a URL such as http://127.0.0.1:7860";
            return Err(Error::value("webui_url", url, wanted));
        }
        if let Some(address) = self.metrics.filter(|address| !address.ip().is_loopback()) {
            let wanted =
                "expected an address that only this machine can reach, such as 127.0.0.1:9101";
            return Err(Error::value("metrics", address, wanted));
        }
        if let Err((line, why)) = Ignored::new(&self.ignore) {
            let wanted = format!("expected a pattern in gitignore's form ({why})");
            return Err(Error::value("ignore", line, wanted));
        }
        for (key, hook) in [("on_ready", &self.on_ready), ("on_failed", &self.on_failed)] {
            hook::check(key, hook)?;
        }
        if let Some(store) = &self.store {
            store.check()?;
        }
        self.check_presets()
    }

    /// What in the models folders is ignored; lines that [`Self::check`] refuses are not.
    pub fn ignored(&self) -> Ignored {
        let all = Ignored::new(&self.ignore);
        all.or_else(|_| Ignored::new(&[])).unwrap_or_else(|_| Ignored::nothing())
    }

    /// Returns the keys whose values differ in `new`.
    pub fn changes(&self, new: &Self) -> Vec<&'static Key> {
        // Can't fail, except for paths that are not UTF-8: every other value has a TOML form.
        let [old, new] = [self, new].map(|config| Table::try_from(config).unwrap_or_default());
        KEYS.iter().filter(|key| old.get(key.name) != new.get(key.name)).collect()
    }

    /// How long a file must be unchanged before it is read.
    pub fn settle(&self) -> Duration {
        Duration::from_secs_f64(self.settle_seconds)
    }

    /// How long the machine must be idle before a build starts.
    pub fn idle(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }

    /// Time between full scans.
    pub fn rescan(&self) -> Duration {
        Duration::from_secs_f64(self.rescan_seconds)
    }

    /// How long the engines of a deleted checkpoint are kept.
    pub fn orphan_grace(&self) -> Duration {
        Duration::from_secs_f64(self.orphan_days * 86_400.0)
    }
}

#[cfg(test)]
mod tests;
