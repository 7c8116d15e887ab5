//! The command line.

mod export;
mod groups;
mod set_up;
mod store;
mod values;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args as Group, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::ArgValueCompleter;
use protocol::Image;

use crate::complete;
pub(crate) use export::Export;
pub(crate) use groups::command;
pub(crate) use set_up::{Config, Install, Runtime, Setup, Webui, WebuiInstall};
pub(crate) use store::{ExportEngine, ImportEngine, Store};
pub(crate) use values::Size;
use values::{factor, seconds, time};

const EXIT_CODES: &str = "\
REF is an id or the start of one, a path, a file name, or a hash that Civitai, A1111 or ComfyUI knows the file by.

Exit codes: 0 success, 1 failure, 2 usage error, 3 no sdtrtd, 4 sdtrtd of another version";

/// Control sdtrtd, which builds TensorRT engines for checkpoints
#[derive(Debug, Parser)]
#[command(name = "sdtrtctl", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    /// Without one, says how things stand, and what one would do next.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Args {
    /// Parses the command line; prints help or what is wrong with it, and exits.
    pub(crate) fn read() -> Self {
        let read = Self::from_arg_matches(&command().get_matches());
        read.unwrap_or_else(|error| error.exit())
    }
}

/// Options of every command.
#[derive(Clone, Debug, Group)]
pub(crate) struct Global {
    /// sdtrtd's socket; by default the one in the configuration
    #[arg(long, global = true, value_name = "PATH", env = "SDTRT_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// sdtrtd's configuration; by default sdtrt/sdtrtd.toml in your configuration folder
    #[arg(long, global = true, value_name = "FILE", env = "SDTRT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON; `sdtrtctl schema` describes it
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only errors; see the exit code for the result
    #[arg(long, short, global = true, conflicts_with = "json")]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the daemon, its TensorRT, and what it is doing
    Status,
    /// List every checkpoint and its progress
    List {
        /// Print what Civitai, A1111 and ComfyUI know each file by instead
        #[arg(long)]
        hashes: bool,
    },
    /// Show everything about one checkpoint
    Show(Reference),
    /// Say which engine would make an image, or what is missing
    Check(Check),
    /// Build a checkpoint's missing engines next, even after a failure or a removal
    Build(Build),
    /// Retry what failed or was rejected
    Retry(Reference),
    /// Show the engines' speed and accuracy on GPUs, and their speed beside PyTorch's in the web UI
    Bench {
        /// Also write a page with plots, which needs no other file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// Only this checkpoint's engines
        #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
        reference: Option<OsString>,
    },
    /// Build an engine with a checkpoint's weights inside, for other programs; needs no GPU
    Materialize {
        #[command(flatten)]
        which: Reference,
        /// The file to write; its folder must exist, the file must not
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Stop the running jobs, and start none until `resume`, even after a restart
    Pause {
        /// Continue by itself after this time, such as 2h, 90m or 1h30m
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        seconds: Option<f64>,
    },
    /// Continue after `pause`
    Resume,
    /// Delete an engine; it is rebuilt only on request
    Remove {
        /// The engine's key or the start of it; `sdtrtctl show REF` prints it
        #[arg(add = ArgValueCompleter::new(complete::engines))]
        engine: String,
    },
    /// Wait until there is nothing left to do
    Wait {
        /// Wait only for this checkpoint, which may appear later
        #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
        reference: Option<OsString>,
        /// Give up after this many seconds; fractions are allowed
        #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
        timeout: f64,
    },
    /// Print changes as they happen
    Watch,
    /// Print a build's log: the running one's, or the last one's
    Log {
        /// A checkpoint, or an engine's key
        #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
        reference: Option<OsString>,
    },
    /// List finished builds, newest first
    History {
        /// Maximum number of builds
        #[arg(long, short = 'n', value_name = "NUMBER", default_value = "20")]
        limit: usize,
    },
    /// Read every engine and compare it with its manifest
    Verify {
        /// Read every checkpoint instead, and compare it with what is known of it; may take hours
        #[arg(long)]
        checkpoints: bool,
    },
    /// Show disk usage, engine by engine
    Disk,
    /// Never delete these engines
    Pin(Pinned),
    /// Undo `pin`
    Unpin(Pinned),
    /// Delete what is no longer needed; the daemon does so daily by itself
    Gc {
        /// Only print what would be deleted, and why
        #[arg(long)]
        dry_run: bool,
    },
    /// Find what keeps engines from being built or used, and how to fix it; needs no daemon
    Doctor,
    /// Set up sdtrtd for this user; asks at most three questions
    Setup(Setup),
    /// Check, show or edit the configuration
    #[command(subcommand)]
    Config(Config),
    /// Make sdtrtd reread its configuration
    Reload,
    /// Write an archive for a bug report, without weights or secrets
    Snapshot {
        /// The archive [default: sdtrt-snapshot-TIME.zip in the current folder]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Print files' ids and architectures; needs no daemon
    Identify {
        /// Also print the hashes that Civitai, A1111 and ComfyUI know a file by
        #[arg(long)]
        hashes: bool,
        /// The checkpoints; with --json each has a line of its own
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Write a checkpoint's UNet as ONNX; needs no daemon
    ///
    /// `unet.onnx` reads its weights from a copy of the checkpoint beside it. On Btrfs, XFS and other file systems
    /// that can, the copy shares the checkpoint's blocks, and so takes no space of its own. Deleting or changing one
    /// of the two does not affect the other.
    Export(Export),
    /// Manage what machines share: engines, kernels, and what they found
    #[command(subcommand)]
    Store(Store),
    /// Copy engines into a folder, such as one on a stick, for another machine
    ///
    /// The folder is a store: signed with this machine's key, which the other machine must trust.
    ExportEngine(ExportEngine),
    /// Have the daemon take engines out of such a folder
    ImportEngine(ImportEngine),
    /// Install the libraries that build, run and validate engines
    #[command(subcommand)]
    Runtime(Runtime),
    /// Manage the web UIs around the models folders
    #[command(subcommand)]
    Webui(Webui),
    /// Print a script for shell completion of commands, checkpoints and engines
    ///
    /// bash: `sdtrtctl completions bash > ~/.local/share/bash-completion/completions/sdtrtctl`;
    /// zsh: write to `_sdtrtctl` in a folder of $fpath; fish: write to
    /// `~/.config/fish/completions/sdtrtctl.fish`. The package installs all three.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the JSON Schema of each command's --json output
    Schema,
    /// Write the manual pages
    #[command(hide = true)]
    Manual {
        /// The output folder
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

/// A shell with completion support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// One checkpoint.
#[derive(Debug, Group)]
pub(crate) struct Reference {
    /// An id or the start of one, a path, a file name, or a hash such as A1111's 6ce0161689
    #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
    pub(crate) reference: OsString,
}

#[derive(Debug, Group)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) which: Reference,
    /// Build at once, even while paused or on a busy machine
    #[arg(long)]
    pub(crate) now: bool,
    /// Show progress until the build finishes
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// An image, in the web UI's terms.
#[derive(Debug, Group)]
pub(crate) struct Check {
    /// Width and height in pixels, such as 768x1152
    #[arg(value_name = "WIDTHxHEIGHT")]
    pub(crate) size: Size,
    /// Only this checkpoint
    #[arg(value_name = "REF", add = ArgValueCompleter::new(complete::checkpoints))]
    pub(crate) reference: Option<OsString>,
    /// Images at once
    #[arg(long, value_name = "IMAGES", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) batch: u64,
    /// Tokens of the longer prompt
    #[arg(long, value_name = "TOKENS", default_value = "75", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) tokens: u64,
    /// The hires fix's upscale factor
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub(crate) hires: Option<f64>,
}

impl Check {
    pub(crate) fn image(&self) -> Image {
        let Size { width, height } = self.size;
        Image { width, height, batch: self.batch, tokens: self.tokens, hires: self.hires }
    }
}

/// Some engines.
#[derive(Debug, Group)]
pub(crate) struct Pinned {
    /// An engine's key or the start of it; or a checkpoint, for all of its engines
    #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
    pub(crate) reference: OsString,
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
