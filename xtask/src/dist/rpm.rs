//! Builds the RPM with cargo-generate-rpm, of the same files and scripts as the Debian package.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{CONFIGURATION, deb, tree::Tree};
use crate::{folders, process};

/// Where Debian's zsh looks, and where those of others do.
const ZSH: [&str; 2] = ["usr/share/zsh/vendor-completions", "usr/share/zsh/site-functions"];

/// Packs the tree.
pub(super) fn pack(tree: &Tree, dist: &Path) -> Result<PathBuf> {
    let work = folders::work("rpm-")?;
    let described = work.path().join("package.toml");
    std::fs::write(&described, toml::to_string(&description(tree)?)?)?;
    let package = dist.join(format!("sdtrt-{}-1.x86_64.rpm", env!("CARGO_PKG_VERSION")));
    let mut generate = folders::cargo();
    generate.args(["generate-rpm", "--package", "xtask", "--auto-req", "builtin"]);
    generate.arg("--metadata-overwrite").arg(described).arg("--output").arg(&package);
    process::run(&mut generate)
        .context("`cargo install cargo-generate-rpm` brings what packs it")?;
    Ok(package)
}

fn description(tree: &Tree) -> Result<Value> {
    let mut assets = Vec::new();
    for path in files(tree)? {
        let mut asset = json!({
            "source": tree.root.join(&path),
            "dest": format!("/{}", path.replace(ZSH[0], ZSH[1])),
            "mode": if is_program(&path) { "0755" } else { "0644" },
        });
        if path == CONFIGURATION {
            asset["config"] = "noreplace".into();
        } else if path.starts_with("usr/share/doc/") {
            asset["doc"] = true.into();
        }
        assets.push(asset);
    }
    let [install, remove] = [deb::INSTALLED, deb::REMOVED];
    Ok(json!({
        "name": "sdtrt",
        "summary": "TensorRT engines for Stable Diffusion checkpoints",
        "assets": assets,
        "requires": { "systemd": "*" },
        "recommends": { "python3": "*" },
        "suggests": { "python3-pip": "*" },
        // RPM passes the number of versions that will be installed.
        "post_install_script": format!("set -- configure\n{install}"),
        "pre_uninstall_script": format!("if [ \"$1\" = 0 ]; then set -- remove; fi\n{remove}"),
        "post_uninstall_script": include_str!("postun.sh"),
    }))
}

/// The files of the tree, as below `/`.
fn files(tree: &Tree) -> Result<Vec<String>> {
    let mut find = Command::new("find");
    find.arg(&tree.root).args(["-type", "f", "-printf", "%P\\n"]);
    let mut files: Vec<_> = process::output(&mut find)?.lines().map(str::to_owned).collect();
    files.sort();
    Ok(files)
}

fn is_program(path: &str) -> bool {
    path.starts_with("usr/bin/") || path.starts_with("usr/libexec/")
}
