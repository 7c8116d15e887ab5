//! Writes a golden checkpoint to a file, for manual tests.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Parser;
use goldens::{Manifest, full_size_sd15, full_size_sdxl, inpainting};

/// Write a golden checkpoint: `goldens sd1 FILE`, or `goldens --full-size sd15 FILE`.
#[derive(Parser)]
struct Arguments {
    /// A manifest in tests/fixtures, such as sd1 or ssd-1b; with --full-size, sd15 or sdxl, or
    /// one of these with -inpaint.
    name: String,
    /// The file to write: a torch file if its name ends in .ckpt, otherwise safetensors.
    file: PathBuf,
    /// Write a checkpoint with the shapes of a real one.
    #[arg(long)]
    full_size: bool,
    /// Write names and shapes, and holes for weights.
    #[arg(long)]
    outline: bool,
    /// Use another seed: other weights in the same shapes.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seed = arguments.seed;
    let manifest = match (arguments.full_size, arguments.name.as_str()) {
        (true, name) => full_size(name, seed.unwrap_or(0))?,
        (false, name) => match (Manifest::load(name)?, seed) {
            (manifest, Some(seed)) => manifest.reseed(seed),
            (manifest, None) => manifest,
        },
    };
    match arguments.outline {
        true => manifest.write_outline(&arguments.file),
        false => manifest.write_checkpoint(&arguments.file),
    }
}

fn full_size(name: &str, seed: u64) -> Result<Manifest> {
    match name {
        "sd15" => Ok(full_size_sd15(seed)),
        "sdxl" => Ok(full_size_sdxl(seed)),
        "sd15-inpaint" => Ok(inpainting(full_size_sd15(seed))),
        "sdxl-inpaint" => Ok(inpainting(full_size_sdxl(seed))),
        other => {
            bail!("no full-size checkpoint {other}: expected sd15, sdxl, or one with -inpaint")
        }
    }
}
