//! Engines of the usual kinds as a package of its own: a store that can be read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use config::{ComputeCapability, runtime::BUILDABLE};
use protocol::Engine;

use super::tree::Tree;
use crate::{
    cargo::Programs,
    daemon::{self, Daemon, Options},
    demo, folders, process,
    setup::Kit,
};

/// The kinds that most checkpoints are of.
const KINDS: [&str; 4] = ["sd15", "sd15-inpaint", "sdxl", "sdxl-inpaint"];

/// Where the package puts them.
const FOLDER: &str = "usr/share/sdtrt/engines";

/// What whoever packs plans has to know; docs/store.md says it with the clauses around these.
const LICENCE: &str = "\
This package is for machines of your own. NVIDIA's licence of TensorRT-RTX (LICENSE.txt in the wheel) names what may be
distributed (12.1: \"the libnvinfer and libnvinfer_plugin libraries\") and grants nothing else (2.3: \"Your rights in the
Licensed Software are limited to those expressly granted\"); of plans it says nothing, but that an evaluation, educational
or test licence gives no right to \"distribute the Licensed Software or its output in any way in any public release\"
(1.2). Read docs/store.md before you hand it on.
";

/// Builds the engines and packs them, signed with this key.
pub(super) fn pack(programs: &Programs, kit: &Kit, dist: &Path, key: &Path) -> Result<PathBuf> {
    ensure!(
        key.is_file(),
        "{} is missing, the key to sign engines with; `sdtrtctl store keygen` makes one, or --key names another",
        key.display()
    );
    eprint!("{LICENCE}");
    let work = folders::work("engines-")?;
    let tree = Tree { root: work.path().join("sdtrt-engines") };
    let store = tree.root.join(FOLDER);
    let configuration = work.path().join("sdtrtd.toml");
    let table = format!("[store]\nurl = 'file://{}'\nkey = '{}'\n", store.display(), key.display());
    fs::write(&configuration, table)?;
    for kind in KINDS {
        build(programs, kit, &work.path().join(kind), kind, &|daemon, engine| {
            let mut export = daemon.ctl(["export-engine", "--config"]);
            export.arg(&configuration).arg(engine.key.to_string()).arg(&store);
            process::run(&mut export)
        })?;
    }
    process::run(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&tree.root))?;
    tree.write("usr/share/doc/sdtrt-engines/copyright", LICENCE)?;
    tree.write("DEBIAN/control", &control())?;
    let package = dist.join(format!("sdtrt-engines_{}_all.deb", env!("CARGO_PKG_VERSION")));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "--build"]).arg(&tree.root).arg(&package);
    process::run(&mut dpkg)?;
    Ok(package)
}

/// Builds a kind's engines for presets from names and shapes alone, and passes each on while its daemon runs.
fn build(
    programs: &Programs,
    kit: &Kit,
    folder: &Path,
    kind: &str,
    export: &dyn Fn(&Daemon, &Engine) -> Result<()>,
) -> Result<()> {
    let (models, data) = (folder.join("models"), folder.join("data"));
    folders::make(&models)?;
    let mut outline = Command::new(&programs.goldens);
    outline.args(["--full-size", kind, "--outline"]).arg(models.join("outline.safetensors"));
    process::run(&mut outline)?;
    let options = Options {
        models: &models,
        data: &data,
        tensorrt: &kit.tensorrt,
        compute_capability: Some(&capabilities()),
        settle_seconds: Some(0.1),
        baked: false,
        webui_url: None,
        hurried: true,
    };
    let mut daemon = Daemon::start(programs, &options)?;
    let mut client = daemon.ready(&data)?;
    demo::until_ready(&mut client)?;
    let checkpoints = daemon::list(&mut client)?;
    let checkpoint = checkpoints.first().with_context(|| format!("{kind} has no checkpoint"))?;
    let of_presets = || checkpoint.engines.iter().filter(|engine| !engine.presets.is_empty());
    ensure!(of_presets().count() > 0, "{kind} has no engines");
    for engine in of_presets() {
        export(&daemon, engine)?;
    }
    daemon.stop();
    Ok(fs::remove_dir_all(folder)?)
}

/// Those of a machine without a GPU of the RTX 20 series, whatever is in this one.
fn capabilities() -> String {
    let named = BUILDABLE.iter().filter(|capability| capability.major > 7);
    named.map(ComputeCapability::to_string).collect::<Vec<_>>().join(",")
}

fn control() -> String {
    format!(
        "\
Package: sdtrt-engines
Version: {0}
Architecture: all
Section: graphics
Priority: optional
Maintainer: the authors of sdtrt <sdtrt@localhost>
Depends: sdtrt (= {0})
Description: TensorRT engines of the usual kinds of Stable Diffusion checkpoints
 A store that sdtrtd takes engines from instead of building them, for machines
 of one's own: NVIDIA's licence does not say that plans may be handed on. Put
 url = \"file:///usr/share/sdtrt/engines\" and the public key of whoever built
 the package into [store] of sdtrtd.toml.
",
        env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_without_turing_have_the_same_engines() {
        assert_eq!(capabilities(), "8.0,8.6,8.9,12.0,12.1");
    }
}
