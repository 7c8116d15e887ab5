//! The arguments of what sets sdtrt up.

use std::path::PathBuf;

use clap::{Args as Group, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the configuration, and report where it is wrong
    #[command(after_help = "Example: sdtrtctl config check")]
    Check,
    /// Print each value in effect and where it comes from
    #[command(after_help = "Example: sdtrtctl config show")]
    Show,
    /// Edit the file with $VISUAL or $EDITOR; an invalid version does not replace it
    #[command(after_help = "Example: sdtrtctl config edit")]
    Edit,
}

#[derive(Debug, Group)]
pub(crate) struct Setup {
    /// Ask no questions: use what is found
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// A folder of checkpoints; repeatable [default: those of the web UIs found]
    #[arg(long = "models-dir", value_name = "DIR")]
    pub(crate) models_dirs: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Webui {
    /// Show what keeping the NVIDIA extension's model.json up to date changes, or would change
    #[command(after_help = "Example: sdtrtctl webui status")]
    Status,
    /// Make a web UI use the engines: link the extension into it, and add its folders to the configuration
    #[command(after_help = "Example: sdtrtctl webui install ~/stable-diffusion-webui")]
    Install(WebuiInstall),
    /// Undo `install`
    #[command(after_help = "Example: sdtrtctl webui uninstall ~/stable-diffusion-webui")]
    Uninstall {
        /// The web UI's folder
        path: PathBuf,
    },
}

#[derive(Debug, Group)]
pub(crate) struct WebuiInstall {
    /// The web UI's folder, which contains `webui.sh`
    pub(crate) path: PathBuf,
    /// The extension's folder; by default the one installed with this program
    #[arg(long, value_name = "DIR")]
    pub(crate) extension: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runtime {
    /// Download TensorRT-RTX and ONNX Runtime, about 120 MB, into the data folder
    #[command(after_help = "Example: sdtrtctl runtime install")]
    Install(Install),
}

#[derive(Debug, Group)]
pub(crate) struct Install {
    /// Data folder; by default the running sdtrtd's, otherwise the configured one
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Install TensorRT-RTX from this wheel instead of downloading it
    #[arg(long, value_name = "FILE")]
    pub(crate) wheel: Option<PathBuf>,
}
