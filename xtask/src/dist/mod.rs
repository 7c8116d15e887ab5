//! Packages for distribution: a Debian package and a tarball of the same files.

pub(crate) mod check;
mod deb;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{
    cargo::{self, Profile},
    folders, process,
};
use tree::Tree;

/// Builds the programs and packs them into `target/dist`; returns the Debian package.
pub(crate) fn run(profile: Profile) -> Result<PathBuf> {
    let (programs, _) = cargo::build_programs(profile)?;
    let dist = folders::target()?.join("dist");
    folders::make(&dist)?;
    let work = folders::work("dist-")?;
    let tree = Tree::lay_out(&work.path().join(name()), &programs)?;
    let deb = deb::pack(&tree, &programs, &dist)?;
    let tarball = tarball(&tree, &dist)?;
    for file in [&deb, &tarball] {
        let bytes = fs::metadata(file)?.len();
        println!("{}  {}", file.display(), config::units::measured_size(bytes));
    }
    Ok(deb)
}

/// The name of the tarball and of the folder in it.
fn name() -> String {
    format!("sdtrt-{}-x86_64-linux", env!("CARGO_PKG_VERSION"))
}

/// Packs the files below `/` in one folder.
fn tarball(tree: &Tree, dist: &Path) -> Result<PathBuf> {
    let path = dist.join(name() + ".tar.gz");
    let parent = tree.root.parent().unwrap_or(Path::new("/"));
    let mut tar = std::process::Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf"]);
    process::run(tar.arg(&path).arg("-C").arg(parent).arg(name()))?;
    Ok(path)
}
