use std::path::PathBuf;

use clap::Args as Group;
use unet::Precision;

use super::values::precision;

#[derive(Debug, Group)]
pub(crate) struct Export {
    /// The checkpoint
    pub(crate) checkpoint: PathBuf,
    /// Folder for `unet.onnx` and its weights; created if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The UNet's precision
    #[arg(long, default_value = "fp16", value_parser = precision())]
    pub(crate) precision: Precision,
    /// Link to the checkpoint instead of copying it: takes no space, but onnx and ONNX Runtime open no links
    #[arg(long, conflicts_with = "weights_as_inputs")]
    pub(crate) link: bool,
    /// Write no weights: make them inputs of the graph, and describe them in `unet.binding.json`
    #[arg(long)]
    pub(crate) weights_as_inputs: bool,
}
