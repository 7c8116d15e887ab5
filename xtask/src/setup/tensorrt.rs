//! The TensorRT-RTX libraries, as everybody gets them: by `sdtrtctl runtime install`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use config::runtime::{LIBRARY, ONNX_PARSER, PINNED, installed_dir};

use crate::{
    cargo::{self, Profile},
    process,
};

/// The folder they are put in; the cache serves as a data folder here.
pub(super) fn place(cache: &Path) -> PathBuf {
    installed_dir(cache, PINNED.version)
}

/// Installs them if they are not there. Its check of the download is sdtrtctl's own.
pub(super) fn install(
    cache: &Path,
    profile: Profile,
    variables: &[(&'static str, String)],
) -> Result<()> {
    if [LIBRARY, ONNX_PARSER].iter().all(|name| place(cache).join(name).is_file()) {
        return Ok(());
    }
    cargo::build(profile, &["sdtrtctl"], variables)?;
    eprintln!("fetching {} {}, about 90 MB", PINNED.package, PINNED.version);
    let mut install = Command::new(cargo::program(profile, "sdtrtctl")?);
    install.args(["runtime", "install", "--data-dir"]).arg(cache);
    // A daemon of the user's own has nothing to do with it.
    install.arg("--socket").arg(cache.join("no-daemon.sock"));
    // Standard output is for `cargo xtask env` alone.
    eprint!("{}", process::output(&mut install)?);
    Ok(())
}
