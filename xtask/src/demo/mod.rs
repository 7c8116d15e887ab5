//! The main job, shown: a checkpoint goes in, an engine comes out, and it stays when files move.

mod models;
mod progress;

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use protocol::{Checkpoint, Client};
use tempfile::TempDir;

use crate::{
    cargo::{self, Profile, Programs},
    daemon::{self, Daemon, Options},
    folders, gpu, process, size,
};

pub(crate) use models::write_full_size;
pub(crate) use progress::until_ready;

/// Where the checkpoint goes.
const MOVED: &str = "favourites/under another name";

pub(crate) fn run(models_dir: Option<&Path>, keep: bool) -> Result<()> {
    let (programs, kit) = cargo::build_programs(Profile::Release)?;
    let mut folder = folders::work("demo-")?;
    folder.disable_cleanup(keep);
    let result = show(&programs, &kit.tensorrt, models_dir, &folder);
    match (keep, &result) {
        (true, _) => println!("\nKept: {}", folder.path().display()),
        (false, Ok(())) => {}
        (false, Err(_)) => {
            eprintln!("The demo's folder, logs included, is gone: --keep leaves it.")
        }
    }
    result
}

fn show(
    programs: &Programs,
    tensorrt: &Path,
    models_dir: Option<&Path>,
    folder: &TempDir,
) -> Result<()> {
    let (models, data) = (folder.path().join("models"), folder.path().join("data"));
    folders::make(&models)?;
    let checkpoint = match models_dir {
        Some(dir) => models::link(dir, &models)?,
        None => models::generate(programs, &models)?,
    };

    say(&format!("sdtrtd watches {}", models.display()));
    let options = Options {
        models: &models,
        data: &data,
        tensorrt,
        compute_capability: gpu::compute_capability(),
        settle_seconds: None,
    };
    let mut daemon = Daemon::start(programs, &options)?;
    let mut client = daemon.ready(&data)?;
    let started = Instant::now();
    progress::until_ready(&mut client)?;
    println!("ready after {}", size::seconds(started.elapsed()));
    let before = engine(&mut client)?;
    for command in ["status", "list"] {
        shown(&mut daemon.ctl([command]), &["sdtrtctl", command])?;
    }

    let extension = checkpoint.extension().context("a checkpoint's name has an extension")?;
    let moved = models.join(MOVED).with_extension(extension);
    say(&format!("the checkpoint becomes {}", moved.display()));
    folders::make(moved.parent().context("it is in a folder")?)?;
    fs::rename(&checkpoint, &moved)?;
    let name = moved.file_name().context("it has a name")?.to_string_lossy().into_owned();
    for command in ["wait", "show"] {
        shown(&mut daemon.ctl([command, &name]), &["sdtrtctl", command, &format!("'{name}'")])?;
    }
    let after = engine(&mut client)?;
    daemon.stop();
    if before != after {
        bail!("the engine was {before} before the move and is {after} after it");
    }
    say(&format!("the same engine, {}, before and after the move", &after[..12.min(after.len())]));
    Ok(())
}

/// The key of the one checkpoint's one engine.
fn engine(client: &mut Client) -> Result<String> {
    let list = daemon::list(client)?;
    match &list[..] {
        [Checkpoint { engines, .. }] if engines.len() == 1 => Ok(engines[0].key.clone()),
        _ => bail!("one checkpoint with one engine was expected, not {list:?}"),
    }
}

/// Runs a command under the line that a person would have typed.
fn shown(command: &mut Command, typed: &[&str]) -> Result<()> {
    println!("\n$ {}", typed.join(" "));
    process::run(command)
}

/// What happens next.
fn say(what: &str) {
    println!("\n== {what}");
}
