//! Builds the Debian package with dpkg-deb: one control file and three short scripts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{CONFIGURATION, tree::Tree};
use crate::{cargo::Programs, process};

/// Run with `configure` once the files are there.
pub(super) const INSTALLED: &str = include_str!("postinst.sh");

/// Run with `remove` before the files go.
pub(super) const REMOVED: &str = include_str!("prerm.sh");

const SCRIPTS: [(&str, &str); 3] =
    [("postinst", INSTALLED), ("prerm", REMOVED), ("postrm", include_str!("postrm.sh"))];

/// Packs the tree, and leaves it unchanged.
pub(super) fn pack(tree: &Tree, programs: &Programs, dist: &Path) -> Result<PathBuf> {
    let debian = tree.root.join("DEBIAN");
    tree.write("DEBIAN/control", &control(tree, programs)?)?;
    tree.write("DEBIAN/conffiles", &format!("/{CONFIGURATION}\n"))?;
    for (name, script) in SCRIPTS {
        tree.write(&format!("DEBIAN/{name}"), script)?;
        fs::set_permissions(debian.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let package = dist.join(format!("sdtrt_{}_amd64.deb", env!("CARGO_PKG_VERSION")));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "--build"]).arg(&tree.root).arg(&package);
    process::run(&mut dpkg)?;
    fs::remove_dir_all(debian)?;
    Ok(package)
}

fn control(tree: &Tree, programs: &Programs) -> Result<String> {
    let kilobytes =
        process::output(Command::new("du").args(["-sk", "--apparent-size"]).arg(&tree.root))?;
    let kilobytes = kilobytes.split_whitespace().next().context("du printed nothing")?;
    let mut glibc = None;
    for program in [&programs.sdtrtd, &programs.sdtrtctl, &programs.worker] {
        glibc = glibc.max(newest_glibc(&fs::read(program)?));
    }
    let glibc = glibc.context("no program needs glibc")?;
    Ok(format!(
        "\
Package: sdtrt
Version: {}
Architecture: amd64
Section: graphics
Priority: optional
Maintainer: the authors of sdtrt <sdtrt@localhost>
Installed-Size: {kilobytes}
Depends: libc6 (>= 2.{glibc}), libgcc-s1, libstdc++6, systemd
Recommends: python3
Suggests: python3-pip
Description: TensorRT engines for Stable Diffusion checkpoints
 sdtrtd watches folders of checkpoints, builds a TensorRT-RTX engine for each
 while the machine is idle, and keeps them attached wherever the checkpoints
 go. sdtrtctl asks it things.
",
        env!("CARGO_PKG_VERSION"),
    ))
}

/// The newest glibc 2 version that a program has a symbol of.
fn newest_glibc(program: &[u8]) -> Option<u32> {
    const MARK: &[u8] = b"GLIBC_2.";
    let at = program.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let digits = at.map(|(at, _)| {
        let digits = program[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.map(|byte| char::from(*byte)).collect::<String>()
    });
    digits.filter_map(|digits| digits.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_decides() {
        assert_eq!(
            newest_glibc(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBC_PRIVATE\0"),
            Some(34)
        );
        assert_eq!(newest_glibc(b"nothing"), None);
    }
}
