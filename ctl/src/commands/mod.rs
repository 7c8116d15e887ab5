//! One module for each group of commands.

mod disk;
mod export;
mod identify;
mod install;
mod query;
mod wait;
mod watch;
mod webui;

use anyhow::Result;

use crate::args::{Args, Command, Runtime, Webui};

/// Does what was typed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let global = &args.global;
    match &args.command {
        Command::Status => query::status(global),
        Command::List => query::list(global),
        Command::Show(which) => query::show(global, &which.reference),
        Command::Check(check) => query::check(global, check),
        Command::Build(build) => query::build(global, &build.which.reference, build.now),
        Command::Pause => query::pause(global),
        Command::Resume => query::resume(global),
        Command::Retry(which) => query::retry(global, &which.reference),
        Command::Remove { engine } => query::remove(global, engine),
        Command::Verify => query::verify(global),
        Command::Disk => disk::disk(global),
        Command::Pin(which) => disk::pin(global, &which.reference),
        Command::Unpin(which) => disk::unpin(global, &which.reference),
        Command::Gc { dry_run } => disk::gc(global, *dry_run),
        Command::Wait { reference, timeout } => wait::run(global, reference.as_deref(), *timeout),
        Command::Watch => watch::run(global),
        Command::Identify { file } => identify::run(file, global.json),
        Command::Export(export) => export::run(export, global.json),
        Command::Webui(Webui::Status) => query::webuis(global),
        Command::Webui(Webui::Install(install)) => webui::install(global, install),
        Command::Webui(Webui::Uninstall { path }) => webui::uninstall(global, path),
        Command::Runtime(Runtime::Install(install)) => install::run(global, install),
    }
}
