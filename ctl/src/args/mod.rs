//! What can be typed.

mod values;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use unet::Precision;

use crate::complete;
pub(crate) use values::Size;
use values::{factor, precision, seconds};

const EXIT_CODES: &str = "\
REF is an id, the first digits of one, a path or a file name.

Exit codes: 0 done, 1 failed, 2 not understood, 3 no sdtrtd answers, 4 sdtrtd is of another version";

/// Asks sdtrtd about checkpoints and their TensorRT engines.
#[derive(Debug, Parser)]
#[command(name = "sdtrtctl", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Group)]
pub(crate) struct Global {
    /// Socket of sdtrtd; by default the one that the configuration names
    #[arg(long, global = true, value_name = "PATH", env = "SDTRT_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Configuration of sdtrtd; by default sdtrt/sdtrtd.toml in your configuration folder
    #[arg(long, global = true, value_name = "FILE", env = "SDTRT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON; `sdtrtctl schema` describes it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but errors; the exit code tells the rest
    #[arg(long, short, global = true, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The daemon, its TensorRT, and what it is doing
    Status,
    /// Every checkpoint and how far it has come
    List,
    /// Everything known of one checkpoint
    Show(Reference),
    /// Say which engine would make an image, or what is missing
    Check(Check),
    /// Build a checkpoint's missing engines next, also after a failure or a removal
    Build(Build),
    /// Try again what failed or was rejected
    Retry(Reference),
    /// How fast and how right the engines were when they were validated on a GPU
    Bench {
        /// Only those of this checkpoint
        #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
        reference: Option<OsString>,
    },
    /// Build an engine with a checkpoint's weights inside, for other programs; needs no GPU
    Materialize {
        #[command(flatten)]
        which: Reference,
        /// The file to write, in a folder that is there; nothing may be there yet
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Build nothing until `resume`, also after a restart
    Pause,
    /// Build again, after a pause
    Resume,
    /// Delete an engine; it is built again only when asked for
    Remove {
        /// The engine's key, or its first digits; `sdtrtctl show REF` prints it
        #[arg(add = ArgValueCompleter::new(complete::engines))]
        engine: String,
    },
    /// Wait until nothing is left to do
    Wait {
        /// Wait for this checkpoint only; it may appear later
        #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
        reference: Option<OsString>,
        /// Give up after so many seconds; fractions are allowed
        #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
        timeout: f64,
    },
    /// Print what changes, as it changes
    Watch,
    /// What was said during a build: the one under way, or the last one
    Log {
        /// A checkpoint, or an engine's key
        #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
        reference: Option<OsString>,
    },
    /// Builds that have ended, the newest first
    History {
        /// So many at most
        #[arg(long, short = 'n', value_name = "NUMBER", default_value = "20")]
        limit: usize,
    },
    /// Read every engine and compare it with its manifest
    Verify,
    /// What takes the room, engine by engine
    Disk,
    /// Keep engines whatever comes
    Pin(Pinned),
    /// No longer keep engines whatever comes
    Unpin(Pinned),
    /// Delete what is of no use any more; the daemon does so by itself once a day
    Gc {
        /// Only print what would go, and why
        #[arg(long)]
        dry_run: bool,
    },
    /// Look for what keeps engines from being built or used, and say what to do; needs no daemon
    Doctor,
    /// Set up sdtrtd for this user; asks three questions at most
    Setup(Setup),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
    /// Have sdtrtd read its configuration again
    Reload,
    /// Write an archive for a bug report, without weights or secrets
    Snapshot {
        /// The archive [default: sdtrt-snapshot-TIME.zip here]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// A file's ids and architecture; needs no daemon
    Identify {
        /// The checkpoint
        file: PathBuf,
    },
    /// Write a checkpoint's UNet as ONNX, its weights left in the checkpoint; needs no daemon
    Export(Export),
    /// The libraries that engines are built, run and proven with
    #[command(subcommand)]
    Runtime(Runtime),
    /// The web UIs around the models folders
    #[command(subcommand)]
    Webui(Webui),
    /// Print what has a shell complete commands, checkpoints and engines
    ///
    /// bash: `sdtrtctl completions bash > ~/.local/share/bash-completion/completions/sdtrtctl`;
    /// zsh: into `_sdtrtctl` in a folder of $fpath; fish: into
    /// `~/.config/fish/completions/sdtrtctl.fish`. The package has them in place.
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Print the JSON Schema of what each command prints with --json
    Schema,
    /// Write the manual pages
    #[command(hide = true)]
    Manual {
        /// The folder for them
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say whether all is well, or what is wrong where
    Check,
    /// Each value in force, and where it comes from
    Show,
    /// Edit the file with $VISUAL or $EDITOR; what is wrong does not replace it
    Edit,
}

#[derive(Debug, Group)]
pub(crate) struct Setup {
    /// Ask nothing: take what is found
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// A folder of checkpoints; may be given several times [default: those of the web UIs found]
    #[arg(long = "models-dir", value_name = "DIR")]
    pub(crate) models_dirs: Vec<PathBuf>,
}

/// One checkpoint.
#[derive(Debug, Group)]
pub(crate) struct Reference {
    /// An id, the first digits of one, a path or a file name
    #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
    pub(crate) reference: OsString,
}

#[derive(Debug, Group)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) which: Reference,
    /// At once, even while builds are paused or the machine is busy
    #[arg(long)]
    pub(crate) now: bool,
    /// Show its progress until it has ended
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// An image, in the words of the web UI.
#[derive(Debug, Group)]
pub(crate) struct Check {
    /// Width and height in pixels, such as 768x1152
    #[arg(value_name = "WIDTHxHEIGHT")]
    pub(crate) size: Size,
    /// Only for this checkpoint
    #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
    pub(crate) reference: Option<OsString>,
    /// Images at once
    #[arg(long, value_name = "IMAGES", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) batch: u64,
    /// Tokens of the longer prompt
    #[arg(long, value_name = "TOKENS", default_value = "75", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) tokens: u64,
    /// By how much the hires fix enlarges the image
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub(crate) hires: Option<f64>,
}

/// Some engines.
#[derive(Debug, Group)]
pub(crate) struct Pinned {
    /// An engine's key or its first digits; or a checkpoint, for all engines that it has
    #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
    pub(crate) reference: OsString,
}

#[derive(Debug, Group)]
pub(crate) struct Export {
    /// The checkpoint
    pub(crate) checkpoint: PathBuf,
    /// Folder for `unet.onnx` and a link to the checkpoint; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// What the UNet computes in
    #[arg(long, default_value = "fp16", value_parser = precision())]
    pub(crate) precision: Precision,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Webui {
    /// What keeping the NVIDIA extension's model.json true changes, or would change
    Status,
    /// Have a web UI use the engines: link the extension into it, and its folders into the configuration
    Install(WebuiInstall),
    /// Undo `install`
    Uninstall {
        /// The web UI's folder
        path: PathBuf,
    },
}

#[derive(Debug, Group)]
pub(crate) struct WebuiInstall {
    /// The web UI's folder, in which its `webui.sh` lies
    pub(crate) path: PathBuf,
    /// The extension's folder; by default the one that came with this program
    #[arg(long, value_name = "DIR")]
    pub(crate) extension: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runtime {
    /// Download TensorRT-RTX and ONNX Runtime, about 120 MB, into the data folder
    Install(Install),
}

#[derive(Debug, Group)]
pub(crate) struct Install {
    /// Data folder; by default that of the running sdtrtd, else the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Install TensorRT-RTX from this wheel instead of downloading it
    #[arg(long, value_name = "FILE")]
    pub(crate) wheel: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn helps(command: &clap::Command, path: &[String], seen: &mut Vec<String>) {
        let mut line = path.to_vec();
        line.push("--help".to_owned());
        let error = Args::try_parse_from(&line).expect_err("help is no command");
        assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{line:?}");
        assert!(error.to_string().contains("Usage:"), "{line:?}");
        assert!(command.get_about().is_some(), "{line:?} says nothing of itself");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{line:?}: {}", argument.get_id());
        }
        seen.push(path[1..].join(" "));
        for below in command.get_subcommands() {
            let mut path = path.to_vec();
            path.push(below.get_name().to_owned());
            helps(below, &path, seen);
        }
    }

    #[test]
    fn every_command_explains_itself() {
        let command = Args::command();
        command.clone().debug_assert();
        let mut seen = Vec::new();
        helps(&command, &["sdtrtctl".to_owned()], &mut seen);
        for expected in [
            "status",
            "list",
            "wait",
            "watch",
            "export",
            "runtime install",
            "config show",
            "doctor",
        ] {
            assert!(seen.iter().any(|path| path == expected), "{expected} in {seen:?}");
        }
    }
}
