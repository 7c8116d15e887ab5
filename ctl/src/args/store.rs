//! The arguments of what machines share.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args as Group, Subcommand};
use clap_complete::ArgValueCompleter;

use super::time;
use crate::complete;

#[derive(Debug, Subcommand)]
pub(crate) enum Store {
    /// Make this machine's key, print its public part, and trust what it signs
    ///
    /// The secret key is a file that only you can read. It stays on this machine: each machine that adds to a store has
    /// its own, and the others trust its public part.
    #[command(after_help = "Example: sdtrtctl store keygen")]
    Keygen,
    /// Trust what another machine signs: add its public key to the configuration
    ///
    /// Who holds that machine's secret key can then make this one run code.
    #[command(
        after_help = "Example: sdtrtctl store trust RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
    )]
    Trust {
        /// The public key that `sdtrtctl store keygen` printed there
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Add this machine's engines, with their kernels and validations, to the store
    ///
    /// The daemon adds what it builds by itself; this adds what was built before.
    #[command(after_help = "Example: sdtrtctl store push")]
    Push {
        /// Engines' keys or their start, or checkpoints; by default all engines
        #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
        engines: Vec<OsString>,
    },
    /// Have the daemon take engines from the store
    #[command(after_help = "Example: sdtrtctl store pull")]
    Pull {
        /// Engines' keys or their start; by default all that this machine can use
        #[arg(value_name = "ENGINE")]
        engines: Vec<String>,
    },
    /// List what is in the store, who signed it, and what would be refused
    #[command(after_help = "Example: sdtrtctl store list")]
    List,
    /// Check each object in the store as a machine does that takes it
    #[command(after_help = "Example: sdtrtctl store verify --whole")]
    Verify {
        /// Plans and kernels too; reads all that is in the store
        #[arg(long)]
        whole: bool,
    },
    /// Delete from the store what nothing there names any more
    #[command(after_help = "Example: sdtrtctl store gc --older-than 90d --dry-run")]
    Gc {
        /// Only print what would be deleted, and why
        #[arg(long)]
        dry_run: bool,
        /// Delete engines too that were added longer ago than this, such as 90d or 12w
        #[arg(long, value_name = "TIME", value_parser = age)]
        older_than: Option<f64>,
    },
}

#[derive(Debug, Group)]
pub(crate) struct ExportEngine {
    /// An engine's key or the start of it, or a checkpoint for all its engines
    #[arg(value_name = "ENGINE|REF", add = ArgValueCompleter::new(complete::either))]
    pub(crate) engine: OsString,
    /// The folder, such as one on a stick; created if missing
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct ImportEngine {
    /// The folder that `export-engine` filled
    pub(crate) dir: PathBuf,
    /// Only these engines: their keys or the start of them
    #[arg(long = "engine", value_name = "ENGINE")]
    pub(crate) engines: Vec<String>,
}

/// An age in days or weeks, or in any unit of [`time`].
fn age(text: &str) -> Result<f64, &'static str> {
    const DAY: f64 = 86_400.0;
    let in_days = |unit: char| text.strip_suffix(unit).and_then(|number| number.parse().ok());
    let days: Option<f64> = in_days('d').or_else(|| in_days('w').map(|weeks: f64| weeks * 7.0));
    match days.map(|days| days * DAY) {
        Some(seconds) if (1.0..=1e10).contains(&seconds) => Ok(seconds),
        Some(_) => Err("expected a time such as 90d, 12w or 36h"),
        None => time(text).map_err(|_| "expected a time such as 90d, 12w or 36h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_days_weeks_or_what_times_are() {
        for (text, expected) in [
            ("90d", Some(7_776_000.0)),
            ("2w", Some(1_209_600.0)),
            ("36h", Some(129_600.0)),
            ("0d", None),
            ("-1d", None),
            ("nand", None),
            ("infw", None),
            ("90", None),
            ("d", None),
        ] {
            assert_eq!(age(text).ok(), expected, "{text}");
        }
    }
}
