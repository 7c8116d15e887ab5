//! `sdtrtctl`: asks `sdtrtd` things, and does what needs no daemon.

mod args;
mod ask;
mod commands;
mod complete;
mod configuration;
mod daemon;
mod doctor;
mod exit;
mod output;
mod render;
mod runtime;
mod sdtrtd;
mod webui;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;

fn main() -> ExitCode {
    // Answers the shell and ends, where a shell asks what could be typed.
    CompleteEnv::with_factory(args::Args::command).complete();
    match commands::run(&args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
