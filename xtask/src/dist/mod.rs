//! Packages for distribution: a Debian package, a tarball, a recipe for Arch Linux and an RPM of the same files; and one of
//! engines, for one's own machines.

pub(crate) mod check;
mod deb;
mod engines;
mod rpm;
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

/// The file that administrators change, as below `/`.
const CONFIGURATION: &str = "etc/sdtrt/sdtrtd.toml";

/// Builds the programs and packs them into `target/dist`, with an RPM if `rpm`, and with a package of engines that are
/// signed with the key in the file `engines`; returns the Debian package of the programs.
pub(crate) fn run(profile: Profile, rpm: bool, engines: Option<&Path>) -> Result<PathBuf> {
    let (programs, kit) = cargo::build_programs(profile)?;
    let dist = folders::target()?.join("dist");
    folders::make(&dist)?;
    let work = folders::work("dist-")?;
    let tree = Tree::lay_out(&work.path().join(name()), &programs)?;
    let deb = deb::pack(&tree, &programs, &dist)?;
    let mut packed = vec![deb.clone(), tarball(&tree, &dist)?];
    recipe(&dist)?;
    if rpm {
        packed.push(rpm::pack(&tree, &dist)?);
    }
    if let Some(key) = engines {
        packed.push(engines::pack(&programs, &kit, &dist, key)?);
    }
    for file in packed {
        let bytes = fs::metadata(&file)?.len();
        println!("{}  {}", file.display(), config::units::measured_size(bytes));
    }
    Ok(deb)
}

/// The name of the tarball and of the folder in it.
fn name() -> String {
    format!("sdtrt-{}-x86_64-linux", env!("CARGO_PKG_VERSION"))
}

/// Writes the recipe for Arch Linux beside the tarball that it takes.
fn recipe(dist: &Path) -> Result<()> {
    let recipe = include_str!("PKGBUILD").replace("VERSION", env!("CARGO_PKG_VERSION"));
    Ok(fs::write(dist.join("PKGBUILD"), recipe)?)
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
