//! `sdtrtctl`: asks `sdtrtd` things, and does what needs no daemon.

mod args;
mod commands;
mod daemon;
mod exit;
mod output;
mod render;
mod runtime;
mod webui;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::run(&args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
