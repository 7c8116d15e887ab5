//! Measures the project's figures: both sides of every comparison in one run.

mod b3sum;
mod build;
mod disk;
mod export;
mod gpu;
mod identify;
mod idle;
mod lab;
mod measure;
mod mishaps;
mod opens;
mod rename;
mod restart;
mod scale;
mod small;
mod table;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::cargo::Profile;

use lab::Lab;
use table::Row;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Writing the graph of a full-size UNet
    Export,
    /// Reading a checkpoint once, compared with b3sum
    Identify,
    /// The time until a rename shows
    Rename,
    /// A restart with 2,000 known checkpoints
    Restart,
    /// The daemon with nothing to do
    Idle,
    /// 10,000 checkpoints, compared with find and b3sum; bursts of moves; 200 clients. Takes minutes: only if named
    Scale,
    /// kill -9 and other content under known names, 200 times while engines are built. Takes 30 minutes: only if named
    Kills,
    /// A disk that fills up at random points while engines are built. Takes minutes: only if named
    Full,
    /// A full-size engine
    Build,
    /// Engines on an NVIDIA GPU, compared with torch.onnx's and PyTorch; only if named
    Gpu,
}

/// Measures the named figures, or all that are quick and need no GPU, and prints one Markdown table. A failed
/// measurement does not stop the others.
pub(crate) fn run(names: &[Name], profile: Profile, kills: u64) -> Result<()> {
    let by_default = |name: &Name| match names.is_empty() {
        true => !matches!(name, Name::Gpu | Name::Scale | Name::Kills | Name::Full),
        false => names.contains(name),
    };
    let names: Vec<Name> = Name::value_variants().iter().copied().filter(by_default).collect();
    if names.contains(&Name::Gpu) {
        gpu::check()?;
    }
    let lab = Lab::new(profile)?;
    let mut rows: Vec<Row> = Vec::new();
    let mut failed = 0;
    for &name in &names {
        eprintln!("measuring: {name:?}");
        match measure(name, &lab, kills) {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                crate::process::go_on()?;
                eprintln!("{name:?}: {error:#}");
                failed += 1;
            }
        }
    }
    if !rows.is_empty() {
        print!("{}", table::render(&lab.machine(), &rows));
    }
    if failed > 0 { bail!("{failed} of {} could not be measured", names.len()) } else { Ok(()) }
}

fn measure(name: Name, lab: &Lab, kills: u64) -> Result<Vec<Row>> {
    match name {
        Name::Export => export::run(lab),
        Name::Identify => identify::run(lab),
        Name::Rename => rename::run(lab),
        Name::Restart => restart::run(lab),
        Name::Idle => idle::run(lab),
        Name::Scale => scale::run(lab),
        Name::Build => build::run(lab),
        Name::Full => mishaps::full::run(lab),
        Name::Kills => mishaps::kills::run(lab, kills),
        // It prints its own table.
        Name::Gpu => gpu::run(lab).map(|()| Vec::new()),
    }
}
