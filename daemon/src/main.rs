//! The daemon's command line.

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use config::{BuildWhen, ByteSize, ComputeCapability, Config, EngineKind};

/// Watches folders of Stable Diffusion checkpoints and keeps TensorRT engines ready for them.
///
/// Flags win over the configuration file.
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
    /// Builds one engine; started by the daemon.
    #[command(hide = true)]
    Worker {
        /// Print the version of this TensorRT-RTX library and end.
        #[arg(long)]
        library_version: Option<OsString>,
    },
}

#[derive(Args, Clone)]
struct Options {
    /// Configuration file [default: ~/.config/sdtrt/sdtrtd.toml, if it exists].
    #[arg(long, env = "SDTRT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of checkpoints; may be given several times.
    #[arg(long = "models-dir", value_name = "DIR")]
    models_dirs: Vec<PathBuf>,
    /// Where engines are kept [default: ~/.local/share/sdtrt].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The socket for sdtrtctl [default: $XDG_RUNTIME_DIR/sdtrtd.sock].
    #[arg(long, env = "SDTRT_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The folder of the TensorRT-RTX libraries [default: found by itself].
    #[arg(long, value_name = "DIR")]
    tensorrt_dir: Option<PathBuf>,
    /// A GPU generation to build for, such as 8.9; may be given several times [default: those of
    /// this machine].
    #[arg(long = "compute-capability", value_name = "MAJOR.MINOR", value_delimiter = ',')]
    compute_capabilities: Vec<ComputeCapability>,
    /// Seconds for which a file must not have changed before it is read [default: 3].
    #[arg(long, value_name = "SECONDS")]
    settle_seconds: Option<f64>,
    /// Where the engines' weights are: baked, inside, or shared, in the checkpoints [default: baked].
    #[arg(long, value_name = "KIND")]
    engines: Option<EngineKind>,
    /// Seconds between two full scans [default: 300].
    #[arg(long, value_name = "SECONDS")]
    rescan_seconds: Option<f64>,
    /// What all engines together may take, such as "50 GB" [default: what the disk has].
    #[arg(long, value_name = "SIZE")]
    quota: Option<ByteSize>,
    /// Nothing is built that would leave less than this free [default: 500 MB].
    #[arg(long, value_name = "SIZE")]
    min_free: Option<ByteSize>,
    /// Days for which the engines of a deleted checkpoint are kept [default: 30].
    #[arg(long, value_name = "DAYS")]
    orphan_days: Option<f64>,
    /// When engines are built: when-idle or always [default: when-idle].
    #[arg(long, value_name = "WHEN")]
    build: Option<BuildWhen>,
    /// Seconds for which the machine must have been idle before a build starts [default: 30].
    #[arg(long, value_name = "SECONDS")]
    idle_seconds: Option<f64>,
    /// The web UI to ask whether it is at work, such as http://127.0.0.1:7860; it must run with
    /// --api [default: none is asked].
    #[arg(long, value_name = "URL")]
    webui_url: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Worker { library_version }) => work(library_version),
        None => run(cli.options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdtrtd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(library: Option<OsString>) -> Result<()> {
    match library {
        Some(library) => {
            println!("{}", sdtrtd::build::worker::library_version(&library)?);
            Ok(())
        }
        None => sdtrtd::build::worker::main(),
    }
}

fn run(options: Options) -> Result<()> {
    let level = sdtrtd::log::start();
    let config = configure(options.clone())?;
    let read_again = move || configure(options.clone());
    // Two threads: one for the actor, one for clients. What is slow has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start")?;
    let result = runtime.block_on(async {
        level.heed_signals()?;
        sdtrtd::app::run(config, read_again).await
    });
    // What still reads a file, maybe on a disk that hangs, has nothing left to tell.
    runtime.shutdown_background();
    result
}

fn configure(options: Options) -> Result<Config> {
    let default = config::config_file();
    let file = options.config.or_else(|| default.exists().then_some(default));
    let mut config = file.map_or_else(|| Ok(Config::default()), |file| Config::read(&file))?;
    if !options.models_dirs.is_empty() {
        config.models_dirs = options.models_dirs;
    }
    if !options.compute_capabilities.is_empty() {
        config.compute_capabilities = options.compute_capabilities;
    }
    config.data_dir = options.data_dir.unwrap_or(config.data_dir);
    config.socket = options.socket.unwrap_or(config.socket);
    config.tensorrt_dir = options.tensorrt_dir.or(config.tensorrt_dir);
    config.engines = options.engines.unwrap_or(config.engines);
    config.settle_seconds = options.settle_seconds.unwrap_or(config.settle_seconds);
    config.rescan_seconds = options.rescan_seconds.unwrap_or(config.rescan_seconds);
    config.quota = options.quota.or(config.quota);
    config.min_free = options.min_free.unwrap_or(config.min_free);
    config.orphan_days = options.orphan_days.unwrap_or(config.orphan_days);
    config.build = options.build.unwrap_or(config.build);
    config.idle_seconds = options.idle_seconds.unwrap_or(config.idle_seconds);
    config.webui_url = options.webui_url.or(config.webui_url);
    config.make_absolute(&std::env::current_dir().context("the current folder is gone")?);
    Ok(config)
}
