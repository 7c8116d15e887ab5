//! Building the programs.

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

    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The packages of the programs that are handed out.
pub(crate) const PACKAGES: [&str; 3] = ["sdtrtd", "sdtrtctl", "worker"];

/// The built programs.
pub(crate) struct Programs {
    pub(crate) sdtrtd: PathBuf,
    pub(crate) sdtrtctl: PathBuf,
    /// Started by `sdtrtd`, which looks for it in its own folder first.
    pub(crate) worker: PathBuf,
    /// Writes golden checkpoints.
    pub(crate) goldens: PathBuf,
}

/// The programs of one profile, and what they need to run.
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

/// Where a program is once it is built.
pub(crate) fn program(profile: Profile, name: &str) -> Result<PathBuf> {
    Ok(folders::target()?.join(profile.folder()).join(name))
}

/// A cargo command over the versions in Cargo.lock and no others.
pub(crate) fn command(name: &str, variables: &[(&'static str, String)]) -> Command {
    let mut command = folders::cargo();
    command.args([name, "--locked"]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}
