//! `sdtrtctl`: the command line of `sdtrtd`, and commands that need no daemon.

mod args;
mod ask;
mod commands;
mod complete;
mod configuration;
mod daemon;
mod doctor;
mod exit;
mod output;
mod redact;
mod reference;
mod render;
mod runtime;
mod sdtrtd;
mod webui;

use std::process::ExitCode;

use clap_complete::CompleteEnv;

fn main() -> ExitCode {
    // If a shell asks for completions, answers and exits.
    CompleteEnv::with_factory(args::command).complete();
    match commands::run(&args::Args::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
