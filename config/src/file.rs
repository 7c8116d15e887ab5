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
    /// GPUs to build for; when empty, those of this machine, and without any, all that
    /// TensorRT-RTX builds for by default.
    pub compute_capabilities: Vec<ComputeCapability>,
    /// Where the engines' weights are; when absent, shared where there is an NVIDIA GPU and baked
    /// elsewhere.
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
mod tests {
    use std::fs;

    use super::*;
    use crate::Range;

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sdtrtd.toml");
        fs::write(&path, text).unwrap();
        crate::load(Some(&path), [])
            .and_then(|loaded| loaded.check(&["sd1".to_owned()]).map(|()| loaded.config))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let config = read(
            r#"
            models_dirs = ["/m", "/n"]
            data_dir = "/d"
            socket = "/s"
            tensorrt_dir = "/t"
            compute_capabilities = ["8.9", "12.0"]
            engines = "shared"
            settle_seconds = 1.5
            rescan_seconds = 60
            quota = "50 GB"
            min_free = "1.5GiB"
            orphan_days = 0.5
            keep_model_json = true
            build = "always"
            idle_seconds = 5
            webui_url = "http://127.0.0.1:7860"
            admins = ["alice", "1000"]
            metrics = "[::1]:9101"
            [[webuis]]
            path = "/w"
            models_dirs = ["/n", "/w/models"]
            lora_dirs = ["/w/loras"]
            [[presets]]
            name = "small"
            width = 256
            height = 256
            batch = 1
            tokens = 75
            [[rules]]
            architecture = "sd1"
            folder = "tests"
            name = "*"
            presets = ["small"]
            engines = "baked"
            "#,
        );
        let expected = Config {
            // A web UI's come to those named.
            models_dirs: vec!["/m".into(), "/n".into(), "/w/models".into()],
            data_dir: "/d".into(),
            socket: "/s".into(),
            tensorrt_dir: Some("/t".into()),
            compute_capabilities: vec!["8.9".parse().unwrap(), "12.0".parse().unwrap()],
            engines: Some(EngineKind::Shared),
            settle_seconds: 1.5,
            rescan_seconds: 60.0,
            quota: Some(ByteSize::b(50_000_000_000)),
            min_free: ByteSize::b(1_610_612_736),
            orphan_days: 0.5,
            keep_model_json: true,
            build: BuildWhen::Always,
            idle_seconds: 5.0,
            webui_url: Some("http://127.0.0.1:7860".into()),
            webuis: vec![WebUi {
                path: "/w".into(),
                models_dirs: vec!["/n".into(), "/w/models".into()],
                lora_dirs: vec!["/w/loras".into()],
            }],
            admins: vec!["alice".into(), "1000".into()],
            metrics: Some("[::1]:9101".parse().unwrap()),
            presets: vec![Preset {
                name: "small".into(),
                width: Range { min: 256, opt: 256, max: 256 },
                height: Range { min: 256, opt: 256, max: 256 },
                batch: Range { min: 1, opt: 1, max: 1 },
                tokens: Range { min: 75, opt: 75, max: 75 },
            }],
            rules: vec![Rule {
                architecture: Some("sd1".into()),
                folder: Some("tests".into()),
                name: Some("*".into()),
                presets: vec!["small".into()],
                engines: Some(EngineKind::Baked),
            }],
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for (text, said) in [
            ("models_dirs = []", "models_dirs"),
            ("models_dirs = ['/m']\nmodel_dir = 1", "unknown key `model_dir`"),
            ("models_dirs = ['/m']\ncompute_capabilities = ['sm_89']", "MAJOR.MINOR"),
            ("models_dirs = ['/m']\nsettle_seconds = -1", "settle_seconds"),
            ("models_dirs = ['/m']\nrescan_seconds = nan", "rescan_seconds"),
            ("models_dirs = ['/m']\nquota = '50 apples'", "50 GB"),
            ("models_dirs = ['/m']\nmin_free = '-1 GB'", "50 GB"),
            ("models_dirs = ['/m']\norphan_days = -1", "orphan_days"),
            ("models_dirs = ['/m']\nbuild = 'sometimes'", "'when-idle' or 'always'"),
            ("models_dirs = ['/m']\nengines = 'big'", "'shared' or 'baked'"),
            ("models_dirs = ['/m']\nidle_seconds = 0", "idle_seconds"),
            ("models_dirs = ['/m']\nwebui_url = '127.0.0.1:7860'", "http://"),
            ("models_dirs = ['/m']\nmetrics = '0.0.0.0:9101'", "of this machine alone"),
            ("models_dirs = [", "sdtrtd.toml"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
