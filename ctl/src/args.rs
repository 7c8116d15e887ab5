//! What can be typed.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::{
    Args as Group, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use unet::Precision;

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
#[derive(Debug, Group)]
pub(crate) struct Global {
    /// Socket of sdtrtd; by default the one that the configuration names
    #[arg(long, global = true, value_name = "PATH", env = "SDTRT_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Configuration of sdtrtd; by default sdtrt/sdtrtd.toml in your configuration folder
    #[arg(long, global = true, value_name = "FILE", env = "SDTRT_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
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
    /// Build nothing until `resume`, also after a restart
    Pause,
    /// Build again, after a pause
    Resume,
    /// Delete an engine; it is built again only when asked for
    Remove {
        /// The engine's key, or its first digits; `sdtrtctl show REF` prints it
        engine: String,
    },
    /// Wait until nothing is left to do
    Wait {
        /// Wait for this checkpoint only; it may appear later
        #[arg(value_name = "REF")]
        reference: Option<OsString>,
        /// Give up after so many seconds; fractions are allowed
        #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
        timeout: f64,
    },
    /// Print what changes, as it changes
    Watch,
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
    /// A file's ids and architecture; needs no daemon
    Identify {
        /// The checkpoint
        file: PathBuf,
    },
    /// Write a checkpoint's UNet as ONNX, its weights left in the checkpoint; needs no daemon
    Export(Export),
    /// The TensorRT-RTX libraries
    #[command(subcommand)]
    Runtime(Runtime),
    /// The web UIs around the models folders
    #[command(subcommand)]
    Webui(Webui),
}

/// One checkpoint.
#[derive(Debug, Group)]
pub(crate) struct Reference {
    /// An id, the first digits of one, a path or a file name
    #[arg(value_name = "REF")]
    pub(crate) reference: OsString,
}

#[derive(Debug, Group)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) which: Reference,
    /// At once, even while builds are paused or the machine is busy
    #[arg(long)]
    pub(crate) now: bool,
}

/// An image, in the words of the web UI.
#[derive(Debug, Group)]
pub(crate) struct Check {
    /// Width and height in pixels, such as 768x1152
    #[arg(value_name = "WIDTHxHEIGHT")]
    pub(crate) size: Size,
    /// Only for this checkpoint
    #[arg(value_name = "REF")]
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

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: u64,
    pub(crate) height: u64,
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The latent is an eighth of the image.
        let side = |text: &str| {
            text.parse().ok().filter(|side| side % 8 == 0 && (8..=65_536).contains(side))
        };
        let sides =
            text.split_once(['x', 'X', '×']).map(|(width, height)| (side(width), side(height)));
        match sides {
            Some((Some(width), Some(height))) => Ok(Self { width, height }),
            _ => Err("WIDTHxHEIGHT is wanted, both multiples of 8, such as 768x1152"),
        }
    }
}

/// Some engines.
#[derive(Debug, Group)]
pub(crate) struct Pinned {
    /// An engine's key or its first digits; or a checkpoint, for all engines that it has
    #[arg(value_name = "ENGINE|REF")]
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
    /// Download TensorRT-RTX, about 90 MB, into the data folder
    Install(Install),
}

#[derive(Debug, Group)]
pub(crate) struct Install {
    /// Data folder; by default that of the running sdtrtd, else the configuration's
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Install from this wheel instead of downloading it
    #[arg(long, value_name = "FILE")]
    pub(crate) wheel: Option<PathBuf>,
}

/// By name, so that help and usage errors list both.
fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["fp16", "fp32"]).try_map(|name| name.parse())
}

fn factor(text: &str) -> Result<f64, &'static str> {
    let factor = text.parse().ok().filter(|factor| (1.0..=16.0).contains(factor));
    factor.ok_or("a factor from 1 to 16 is wanted")
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    // The longest wait that timers hold with ease; nobody means more than a year.
    if (0.0..=31_536_000.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("seconds between 0 and 31536000 are wanted".to_owned())
    }
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
        for expected in
            ["status", "list", "wait", "watch", "export", "runtime install", "webui status"]
        {
            assert!(seen.iter().any(|path| path == expected), "{expected} in {seen:?}");
        }
    }

    #[test]
    fn sizes_are_multiples_of_8() {
        let size = |width, height| Some(Size { width, height });
        for (text, expected) in [
            ("768x1152", size(768, 1152)),
            ("520X8", size(520, 8)),
            ("64×64", size(64, 64)),
            ("768", None),
            ("768x", None),
            ("768x1150", None),
            ("0x64", None),
            ("-64x64", None),
        ] {
            assert_eq!(text.parse::<Size>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_seconds_that_a_timer_holds() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0.25", Some(0.25)),
            ("3600", Some(3600.0)),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("1e300", None),
            ("1m", None),
        ] {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
    }
}
