//! The daemon's command line.

use std::{io, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use checkpoint::Kind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use config::{BuildWhen, ByteSize, ComputeCapability, Config, EngineKind, Loaded};
use rustix::fs::Mode;

/// Watches folders of Stable Diffusion checkpoints and keeps TensorRT engines ready for them.
///
/// Flags override the configuration file.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what engines are built with on this machine, as JSON, for `sdtrtctl doctor` and `setup`.
    #[command(hide = true)]
    Probe(Box<Options>),
    /// Prints the manual page.
    #[command(hide = true)]
    Manual,
}

#[derive(Clone, Args)]
struct Options {
    /// Configuration file [default: ~/.config/sdtrt/sdtrtd.toml, if it exists].
    #[arg(long, env = "SDTRT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of checkpoints; may be given several times.
    #[arg(long = "models-dir", value_name = "DIR")]
    models_dirs: Vec<PathBuf>,
    /// The folder for engines and the cache [default: ~/.local/share/sdtrt].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The socket for sdtrtctl [default: $XDG_RUNTIME_DIR/sdtrtd.sock].
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The folder of the TensorRT-RTX libraries [default: searched for].
    #[arg(long, value_name = "DIR")]
    tensorrt_dir: Option<PathBuf>,
    /// A compute capability to build for, such as 8.9; may be given several times [default: all].
    #[arg(long = "compute-capability", value_name = "MAJOR.MINOR", value_delimiter = ',')]
    compute_capabilities: Vec<ComputeCapability>,
    /// Seconds that a file must be unchanged before it is read [default: 3].
    #[arg(long, value_name = "SECONDS")]
    settle_seconds: Option<f64>,
    /// Where the engines' weights are: shared (in the loaded model) or baked (in the engine) [default:
    /// shared].
    #[arg(long, value_name = "KIND")]
    engines: Option<EngineKind>,
    /// Seconds between full scans [default: 300].
    #[arg(long, value_name = "SECONDS")]
    rescan_seconds: Option<f64>,
    /// Maximum size of all engines together, such as "50 GB" [default: unlimited].
    #[arg(long, value_name = "SIZE")]
    quota: Option<ByteSize>,
    /// Build nothing that would leave less free disk space than this [default: 500 MB].
    #[arg(long, value_name = "SIZE")]
    min_free: Option<ByteSize>,
    /// Days to keep the engines of a deleted checkpoint [default: 30].
    #[arg(long, value_name = "DAYS")]
    orphan_days: Option<f64>,
    /// When to run jobs that need a GPU or much of the CPU: when-idle, always or never [default: when-idle].
    #[arg(long, value_name = "WHEN")]
    build: Option<BuildWhen>,
    /// Seconds that the machine must be idle before such jobs start [default: 30].
    #[arg(long, value_name = "SECONDS")]
    idle_seconds: Option<f64>,
    /// The web UI to ask whether it is generating, such as http://127.0.0.1:7860; it must run with --api
    /// [default: none].
    #[arg(long, value_name = "URL")]
    webui_url: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Probe(options)) => probe(&options),
        Some(Command::Manual) => manual(),
        None => run(cli.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdtrtd: {}", terminal::clean_lines(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn probe(options: &Options) -> Result<()> {
    // As far as it can be read: others report what is wrong with it, such as that there is no models folder yet.
    let config = load(options).map(|loaded| loaded.config).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let machine = runtime.block_on(sdtrtd::probe(&config));
    println!("{}", serde_json::to_string(&machine)?);
    Ok(())
}

fn manual() -> Result<()> {
    clap_mangen::Man::new(Cli::command()).render(&mut io::stdout()).context("cannot print")
}

fn run(options: Options) -> Result<()> {
    let level = sdtrtd::log::start();
    // Only this user may write what this process writes, whatever umask it inherited.
    let umask = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    rustix::process::umask(umask | Mode::WGRP | Mode::WOTH);
    // Two threads: one for the loop, one for clients. Slow work has its own threads.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    let result = runtime.block_on(async {
        level.heed_signals()?;
        let file = options.config.clone().unwrap_or_else(config::config_file);
        sdtrtd::run(Box::new(move || configure(&options)), file).await
    });
    // Threads that still read a file, perhaps on a disk that hangs, have nothing left to report.
    runtime.shutdown_background();
    result
}

/// Returns the configuration with the flags applied, checked.
fn configure(options: &Options) -> Result<Config> {
    let loaded = load(options)?;
    loaded.check(&Kind::ALL.iter().map(Kind::to_string).collect::<Vec<_>>())?;
    Ok(loaded.config)
}

/// The same, unchecked.
fn load(options: &Options) -> Result<Loaded> {
    let default = config::config_file();
    let file = options.config.clone().or_else(|| default.exists().then_some(default));
    let here = std::env::current_dir().context("the current folder is gone")?;
    Ok(config::load(file.as_deref(), std::env::vars_os())?.with(|config| {
        options.clone().apply(config);
        config.make_absolute(&here);
    }))
}

impl Options {
    fn apply(self, config: &mut Config) {
        if !self.models_dirs.is_empty() {
            config.models_dirs = self.models_dirs;
        }
        if !self.compute_capabilities.is_empty() {
            config.compute_capabilities = self.compute_capabilities;
        }
        let Config { data_dir, socket, settle_seconds, rescan_seconds, .. } = config;
        *data_dir = self.data_dir.unwrap_or_else(|| data_dir.clone());
        *socket = self.socket.unwrap_or_else(|| socket.clone());
        *settle_seconds = self.settle_seconds.unwrap_or(*settle_seconds);
        *rescan_seconds = self.rescan_seconds.unwrap_or(*rescan_seconds);
        config.min_free = self.min_free.unwrap_or(config.min_free);
        config.orphan_days = self.orphan_days.unwrap_or(config.orphan_days);
        config.build = self.build.unwrap_or(config.build);
        config.idle_seconds = self.idle_seconds.unwrap_or(config.idle_seconds);
        config.tensorrt_dir = self.tensorrt_dir.or_else(|| config.tensorrt_dir.take());
        config.engines = self.engines.or(config.engines);
        config.quota = self.quota.or(config.quota);
        config.webui_url = self.webui_url.or_else(|| config.webui_url.take());
    }
}
