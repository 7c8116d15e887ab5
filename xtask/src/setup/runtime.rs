//! Installs the libraries that engines are built and validated with, by `sdtrtctl runtime install`, as users
//! do.
//! `sdtrtctl runtime install`.

use std::{path::Path, process::Command};

use anyhow::Result;
use config::runtime::{ONNX_RUNTIME, TENSORRT_RTX, Wheel};

use crate::{
    cargo::{self, Profile},
    process,
};

/// Installs them if they are missing; the cache serves as a data folder. sdtrtctl checks the download.
pub(super) fn install(
    cache: &Path,
    profile: Profile,
    variables: &[(&'static str, String)],
) -> Result<()> {
    let is_missing = |wheel: &&Wheel| !wheel.is_installed(cache);
    let missing: Vec<_> = [&TENSORRT_RTX, &ONNX_RUNTIME].into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    cargo::build(profile, &["sdtrtctl"], variables)?;
    for Wheel { package, version, download_mb, .. } in missing {
        eprintln!("downloading {package} {version}, about {download_mb} MB");
    }
    let mut install = Command::new(cargo::program(profile, "sdtrtctl")?);
    install.args(["runtime", "install", "--data-dir"]).arg(cache);
    // So that it does not find the user's daemon.
    install.arg("--socket").arg(cache.join("no-daemon.sock"));
    // Standard output is only for `cargo xtask env`.
    eprint!("{}", process::output(&mut install)?);
    Ok(())
}
