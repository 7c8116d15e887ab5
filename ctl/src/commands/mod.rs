//! One module for each group of commands.

mod completions;
mod config;
mod disk;
mod doctor;
mod export;
mod follow;
mod identify;
mod install;
mod manual;
mod past;
mod query;
mod reload;
mod schema;
mod setup;
mod snapshot;
pub(crate) mod store;
mod wait;
mod watch;
mod webui;

use anyhow::Result;

use crate::args::{Args, Command, Runtime, Webui};

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let global = &args.global;
    let Some(command) = &args.command else { return query::overview(global) };
    match command {
        Command::Status => query::status(global),
        Command::List { hashes: false } => query::list(global),
        Command::List { hashes: true } => query::names(global),
        Command::Show(which) => query::show(global, &which.reference),
        Command::Check(check) => query::check(global, check),
        Command::Build(build) if build.follow => follow::run(global, build),
        Command::Build(build) => query::build(global, &build.which.reference, build.now),
        Command::Bench { html, reference } => {
            query::bench(global, reference.as_deref(), html.as_deref())
        }
        Command::Materialize { which, output } => {
            query::materialize(global, &which.reference, output)
        }
        Command::Pause { seconds } => query::pause(global, *seconds),
        Command::Resume => query::resume(global),
        Command::Retry(which) => query::retry(global, &which.reference),
        Command::Remove { engine } => query::remove(global, engine),
        Command::Verify { checkpoints: false } => query::verify(global),
        Command::Verify { checkpoints: true } => query::verify_checkpoints(global),
        Command::Disk => disk::disk(global),
        Command::Pin(which) => disk::pin(global, &which.reference),
        Command::Unpin(which) => disk::unpin(global, &which.reference),
        Command::Gc { dry_run } => disk::gc(global, *dry_run),
        Command::Wait { reference, timeout } => wait::run(global, reference.as_deref(), *timeout),
        Command::Watch => watch::run(global),
        Command::Log { reference } => past::log(global, reference.as_deref()),
        Command::History { limit } => past::history(global, *limit),
        Command::Doctor => doctor::run(global),
        Command::Setup(setup) => setup::run(global, setup),
        Command::Config(command) => config::run(global, command),
        Command::Reload => reload::run(global),
        Command::Snapshot { output } => snapshot::run(global, output.as_deref()),
        Command::Completions { shell } => completions::run(*shell),
        Command::Schema => schema::run(),
        Command::Manual { output } => manual::run(output),
        Command::Identify { hashes, files } => identify::run(global, files, *hashes),
        Command::Export(export) => export::run(global, export),
        Command::Webui(Webui::Status) => query::webuis(global),
        Command::Webui(Webui::Install(install)) => webui::install(global, install),
        Command::Webui(Webui::Uninstall { path }) => webui::uninstall(global, path),
        Command::Store(command) => store::run(global, command),
        Command::ExportEngine(which) => store::export(global, which),
        Command::ImportEngine(which) => store::import(global, which),
        Command::Runtime(Runtime::Install(install)) => install::run(global, install),
    }
}
