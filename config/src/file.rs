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
    BuildWhen, ComputeCapability, EngineKind, KEYS, Key, Mistake, Preset, Rule, WebUi,
    mistake::listed, paths, size,
};

/// Everything that `sdtrtd` can be told, by `sdtrtd.toml`, variables or flags of the same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders whose checkpoints get engines, with all folders below them.
    pub models_dirs: Vec<PathBuf>,
    /// Where engines and what was learned are kept.
    pub data_dir: PathBuf,
    /// The socket on which `sdtrtctl` asks.
    pub socket: PathBuf,
    /// The folder of the TensorRT-RTX libraries; found by itself when absent.
    pub tensorrt_dir: Option<PathBuf>,
    /// GPUs to build for, where that are not to be all that TensorRT-RTX can build for.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// Where the engines' weights are; when absent, shared.
    pub engines: Option<EngineKind>,
    /// Seconds for which a file must not have changed before it is read.
    pub settle_seconds: f64,
    /// Seconds between two full scans of the models folders, for what no event tells: changes on
    /// network disks and behind links.
    pub rescan_seconds: f64,
    /// What all engines together may take; without it, whatever the disk has.
    #[serde(with = "size::optional")]
    pub quota: Option<ByteSize>,
    /// Nothing is built that would leave less than this free on the engines' disk.
    #[serde(with = "size")]
    pub min_free: ByteSize,
    /// How many shapes of each kind of UNet get an engine of their own.
    pub fixed_engines: usize,
    /// Days for which the engines of a deleted checkpoint are kept.
    pub orphan_days: f64,
    /// Whether the index of the web UI's NVIDIA extension, `models/Unet-trt/model.json`, is kept true
    /// when checkpoints move.
    pub keep_model_json: bool,
    /// When engines are built.
    pub build: BuildWhen,
    /// Seconds for which the machine must have been idle before a build starts.
    pub idle_seconds: f64,
    /// The web UI to ask whether it is at work, such as `http://127.0.0.1:7860`; it must run with
    /// `--api`.
    pub webui_url: Option<String>,
    /// The web UIs that use the engines.
    pub webuis: Vec<WebUi>,
    /// Users beside root and the daemon's own that may change things through the socket, by name or
    /// number.
    pub admins: Vec<String>,
    /// Where figures are shown in OpenMetrics' form, such as `127.0.0.1:9101`; of this machine only.
    pub metrics: Option<SocketAddr>,
    /// Presets of the user's own, beside the built-in ones.
    pub presets: Vec<Preset>,
    /// Which checkpoints get which presets; the first rule that fits decides.
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
            quota: None,
            min_free: ByteSize::mb(500),
            fixed_engines: 12,
            orphan_days: 30.0,
            keep_model_json: false,
            build: BuildWhen::Idle,
            idle_seconds: 30.0,
            webui_url: None,
            webuis: Vec::new(),
            admins: Vec::new(),
            metrics: None,
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
        /// What the system said.
        source: io::Error,
    },
    /// Not TOML, or not the keys and types that a configuration has.
    #[error("{}", listed(.0))]
    Mistakes(Vec<Mistake>),
    /// A value that no daemon could run with.
    #[error("{key} = {value}: {wanted}")]
    Value {
        /// The key.
        key: String,
        /// The value it was given.
        value: String,
        /// What it should be.
        wanted: String,
    },
}

impl Error {
    /// An [`Error::Value`].
    pub fn value(key: impl Into<String>, value: impl ToString, wanted: impl Into<String>) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), wanted: wanted.into() }
    }
}

impl Config {
    /// Has the folders of the web UIs watched as well.
    pub(crate) fn add_models_of_webuis(&mut self) {
        for webui in &self.webuis {
            let new = |dir: &&PathBuf| !self.models_dirs.contains(dir);
            let found: Vec<_> = webui.models_dirs.iter().filter(new).cloned().collect();
            self.models_dirs.extend(found);
        }
    }

    /// Lets every relative path start from `base`.
    pub fn make_absolute(&mut self, base: &Path) {
        for path in &mut self.models_dirs {
            *path = base.join(&*path);
        }
        self.data_dir = base.join(&self.data_dir);
        self.socket = base.join(&self.socket);
        self.tensorrt_dir = self.tensorrt_dir.take().map(|path| base.join(path));
        for webui in &mut self.webuis {
            for path in webui.models_dirs.iter_mut().chain(&mut webui.lora_dirs) {
                *path = base.join(&*path);
            }
        }
    }

    /// Refuses what no daemon could run with.
    ///
    /// # Errors
    /// Names the key, its value and what it should be.
    pub fn check(&self) -> Result<(), Error> {
        if self.models_dirs.is_empty() {
            return Err(Error::value(
                "models_dirs",
                "[]",
                "name at least one folder of checkpoints, with --models-dir DIR or in sdtrtd.toml",
            ));
        }
        for (key, seconds) in [
            ("settle_seconds", self.settle_seconds),
            ("rescan_seconds", self.rescan_seconds),
            ("idle_seconds", self.idle_seconds),
        ] {
            // A day bounds it well inside what timers can hold.
            if !(0.01..=86_400.0).contains(&seconds) {
                let wanted = "seconds between 0.01 and 86400 are wanted";
                return Err(Error::value(key, seconds, wanted));
            }
        }
        // A century bounds it well inside what times can hold.
        if !(0.0..=36_500.0).contains(&self.orphan_days) {
            let wanted = "days between 0 and 36500 are wanted";
            return Err(Error::value("orphan_days", self.orphan_days, wanted));
        }
        // Each takes room and time, and more are not remembered.
        if self.fixed_engines > 64 {
            let wanted = "a number from 0 to 64 is wanted";
            return Err(Error::value("fixed_engines", self.fixed_engines, wanted));
        }
        if let Some(url) = self.webui_url.as_ref().filter(|url| !url.starts_with("http://")) {
            let wanted = "a URL like http://127.0.0.1:7860 is wanted";
            return Err(Error::value("webui_url", url, wanted));
        }
        if let Some(address) = self.metrics.filter(|address| !address.ip().is_loopback()) {
            let wanted = "an address of this machine alone is wanted, such as 127.0.0.1:9101";
            return Err(Error::value("metrics", address, wanted));
        }
        self.check_presets()
    }

    /// The keys whose values are others in `new`.
    pub fn changes(&self, new: &Self) -> Vec<&'static Key> {
        // Neither can fail: every value has a form in TOML, but for paths that are not UTF-8.
        let [old, new] = [self, new].map(|config| Table::try_from(config).unwrap_or_default());
        KEYS.iter().filter(|key| old.get(key.name) != new.get(key.name)).collect()
    }

    /// How long a file must not have changed before it is read.
    pub fn settle(&self) -> Duration {
        Duration::from_secs_f64(self.settle_seconds)
    }

    /// How long the machine must have been idle before a build starts.
    pub fn idle(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }

    /// Time between two full scans.
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
