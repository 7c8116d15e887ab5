//! Builds the programs.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::{
    folders, process,
    setup::{self, Kit},
};

/// How cargo builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub(crate) fn new(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "development",
            Self::Release => "release",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The packages of the released programs.
pub(crate) const PACKAGES: [&str; 3] = ["sdtrtd", "sdtrtctl", "worker"];

/// The built programs.
pub(crate) struct Programs {
    pub(crate) sdtrtd: PathBuf,
    pub(crate) sdtrtctl: PathBuf,
    /// `sdtrtd` starts it from its own folder if it is there.
    pub(crate) worker: PathBuf,
    /// Writes golden checkpoints.
    pub(crate) goldens: PathBuf,
}

/// Builds the programs with one profile, and returns them with what they need to run.
pub(crate) fn build_programs(profile: Profile) -> Result<(Programs, Kit)> {
    let kit = setup::all(profile)?;
    build(profile, &[&PACKAGES[..], &["goldens"]].concat(), &kit.build_variables())?;
    let program = |name| program(profile, name);
    let programs = Programs {
        sdtrtd: program("sdtrtd")?,
        sdtrtctl: program("sdtrtctl")?,
        worker: program("sdtrt-worker")?,
        goldens: program("goldens")?,
    };
    Ok((programs, kit))
}

/// Builds some packages.
pub(crate) fn build(
    profile: Profile,
    packages: &[&str],
    variables: &[(&'static str, String)],
) -> Result<()> {
    let mut build = command("build", variables);
    build.args(profile.flags());
    for package in packages {
        build.args(["--package", package]);
    }
    process::run(&mut build)
}

/// The path of a built program.
pub(crate) fn program(profile: Profile, name: &str) -> Result<PathBuf> {
    Ok(folders::target()?.join(profile.folder()).join(name))
}

/// A cargo command with the exact versions in Cargo.lock.
pub(crate) fn command(name: &str, variables: &[(&'static str, String)]) -> Command {
    let mut command = folders::cargo();
    command.args([name, "--locked"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}
