//! Shows the main feature: engines are ready seconds after the first checkpoint appears, a second one needs
//! none of its own, and they stay attached when files move.
//!
//! Builds at the priority of other programs, so that a busy machine doesn't keep anybody waiting.

mod models;
mod progress;

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use config::units::measured_time;
use protocol::{Checkpoint, Client, Id};
use tempfile::TempDir;

use crate::{
    cargo::{self, Profile, Programs},
    daemon::{self, Daemon, Options},
    folders, process,
};

pub(crate) use models::write_full_size;
pub(crate) use progress::{until_nothing_is_left, until_ready};

/// Where the checkpoint moves to.
const MOVED: &str = "favourites/under another name";

pub(crate) fn run(models_dir: Option<&Path>, keep: bool) -> Result<()> {
    say("getting TensorRT-RTX and compiling the programs; the first time this takes minutes");
    let (programs, kit) = cargo::build_programs(Profile::Release)?;
    let mut folder = folders::work("demo-")?;
    folder.disable_cleanup(keep);
    let result = show(&programs, &kit.tensorrt, models_dir, &folder);
    match (keep, &result) {
        (true, _) => println!("\nKept: {}", folder.path().display()),
        (false, Ok(())) => {}
        (false, Err(_)) => {
            eprintln!("The demo's folder, with its logs, was deleted; use --keep to keep it.");
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

    say(&format!("sdtrtd is watching {}", models.display()));
    let options = Options {
        models: &models,
        data: &data,
        tensorrt,
        compute_capability: None,
        settle_seconds: None,
        baked: false,
        webui_url: None,
        hurried: true,
    };
    let mut daemon = Daemon::start(programs, &options)?;
    let mut client = daemon.ready(&data)?;
    let started = Instant::now();
    progress::until_ready(&mut client)?;
    let ready = measured_time(started.elapsed());
    println!("ready after {ready}");
    progress::until_nothing_is_left(&mut client)?;
    println!("engines for the usual sizes ready after {}", measured_time(started.elapsed()));
    let before = engines(&mut client)?;
    for command in ["status", "list"] {
        shown(&mut daemon.ctl([command]), &["sdtrtctl", command])?;
    }

    // The user's own checkpoints are not copied.
    if models_dir.is_none() {
        second(&mut daemon, &mut client, &checkpoint, &before)?;
    }

    let extension = checkpoint.extension().context("a checkpoint's name has an extension")?;
    let moved = models.join(MOVED).with_extension(extension);
    say(&format!("moving the first checkpoint to {}", moved.display()));
    folders::make(moved.parent().context("it is in a folder")?)?;
    fs::rename(&checkpoint, &moved)?;
    let name = moved.file_name().context("it has a name")?.to_string_lossy().into_owned();
    for command in ["wait", "list"] {
        let arguments: &[&str] = if command == "wait" { &[&name] } else { &[] };
        let typed = [&["sdtrtctl", command], arguments].concat();
        shown(&mut daemon.ctl([&[command], arguments].concat()), &typed)?;
    }
    let after = engines(&mut client)?;
    daemon.stop();
    if before != after {
        bail!("the move changed the engines from {before:?} to {after:?}");
    }
    say(&format!("it has the same {} engines as before the move", after.len()));
    println!("\n{}", ending(&ready, models_dir.is_none()));
    Ok(())
}

/// What was shown, how to see it with one's own models, and how to install it.
fn ending(ready: &str, had_second: bool) -> String {
    let second = if had_second { " A second one of its kind needed none." } else { "" };
    format!(
        "Shown:       a new checkpoint had engines after {ready}.{second} The first kept its own when it moved.\n\
         Your models: `cargo xtask demo --models-dir DIR` takes the newest one there, and changes nothing.\n\
         Install:     `cargo xtask dist`, `sudo apt install ./target/dist/sdtrt_*.deb`, then `sdtrtctl setup`."
    )
}

/// Adds another checkpoint of the same kind, for which nothing is built.
fn second(
    daemon: &mut Daemon,
    client: &mut Client,
    first: &Path,
    before: &BTreeSet<Id>,
) -> Result<()> {
    say("adding a second checkpoint of the kind");
    let second = models::another(first)?;
    let name = second.file_name().context("it has a name")?.to_string_lossy().into_owned();
    let started = Instant::now();
    shown(&mut daemon.ctl(["wait", &name]), &["sdtrtctl", "wait", &name])?;
    println!("ready after {}", measured_time(started.elapsed()));
    if engines(client)? != *before {
        bail!("engines were built for the second checkpoint");
    }
    say("no engine was built for it");
    Ok(())
}

/// Returns the keys of all engines, which every checkpoint must have.
fn engines(client: &mut Client) -> Result<BTreeSet<Id>> {
    let mut all = daemon::list(client)?.into_iter().map(|Checkpoint { engines, .. }| {
        engines.iter().map(|engine| engine.key).collect::<BTreeSet<_>>()
    });
    let first = all.next().filter(|engines| !engines.is_empty()).context("no engine was built")?;
    if all.all(|engines| engines == first) {
        Ok(first)
    } else {
        bail!("the checkpoints have different engines")
    }
}

/// Runs a command, below the command line that a user would have typed.
fn shown(command: &mut Command, typed: &[&str]) -> Result<()> {
    println!("\n$ {}", shlex::try_join(typed.iter().copied())?);
    process::run(command)
}

/// Prints what happens next.
fn say(what: &str) {
    println!("\n== {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_three_lines() {
        for had_second in [true, false] {
            let said = ending("15.2 s", had_second);
            let lines: Vec<_> = said.lines().collect();
            let [shown, yours, install] = lines[..] else { panic!("{said}") };
            assert!(
                shown.contains("after 15.2 s") && shown.contains("second") == had_second,
                "{said}"
            );
            assert!(yours.contains("--models-dir") && install.contains("sdtrtctl setup"), "{said}");
        }
    }
}
