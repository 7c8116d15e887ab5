//! Tests the Debian package on a fresh Debian, with systemd as its init.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    cargo::{self, Profile},
    folders, process,
};

/// What a fresh root needs beyond the minimum: pip is for `sdtrtctl runtime install`.
const PACKAGES: &str = "--include=systemd,systemd-sysv,dbus,ca-certificates,python3-pip";

/// The check's folder in the root.
const PLACE: &str = "opt/check";

/// systemd exits with the script's status, and so does systemd-nspawn.
const UNIT: &str = "\
[Unit]
After=multi-user.target
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
ExecStart=/bin/sh /opt/check/check.sh
StandardOutput=file:/opt/check/log
StandardError=inherit
TimeoutStartSec=20min
";

/// Where the fresh root comes from.
pub(crate) enum From<'a> {
    /// Debian's release of this name, from this mirror if it is not debootstrap's own.
    Suite(&'a str, Option<&'a str>),
    /// A folder, which is copied.
    Root(&'a Path),
}

impl From<'_> {
    fn make(&self, root: &Path) -> Result<()> {
        let mut make = match self {
            Self::Suite(suite, mirror) => {
                let mut debootstrap = Command::new("debootstrap");
                debootstrap.args(["--variant=minbase", PACKAGES, suite]).arg(root).args(*mirror);
                debootstrap
            }
            Self::Root(from) => {
                let mut copy = Command::new("cp");
                copy.args(["--archive", "--no-target-directory"]).arg(from).arg(root);
                copy
            }
        };
        process::run(&mut make).context("cannot create a fresh root to install it on")
    }
}

/// Builds the package; installs, uses, removes and purges it; and says what went wrong.
pub(crate) fn run(profile: Profile, from: &From<'_>) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "creating and starting a Debian root requires root"
    );
    let (programs, _) = cargo::build_programs(profile)?;
    let package = super::run(profile, false, None)?;
    let work = folders::work("package-")?;
    let root = work.path().join("root");
    from.make(&root)?;

    let place = root.join(PLACE);
    folders::make(&place)?;
    fs::copy(package, place.join("sdtrt.deb"))?;
    fs::write(place.join("check.sh"), include_str!("check.sh"))?;
    let mut golden = Command::new(&programs.goldens);
    process::run(golden.arg("sd2").arg(place.join("golden.safetensors")))?;
    start_by_itself(&root)?;

    let ended = process::run(&mut boot(&root));
    let log = fs::read_to_string(place.join("log")).unwrap_or_default();
    println!("{}", log.trim_end());
    match ended {
        Ok(()) => println!("the package installs, works, and is removed without a trace"),
        Err(_) => bail!("failed at the last line above"),
    }
    Ok(())
}

fn start_by_itself(root: &Path) -> Result<()> {
    let units = root.join("etc/systemd/system");
    fs::write(units.join("check.service"), UNIT)?;
    let wants = units.join("default.target.wants");
    folders::make(&wants)?;
    Ok(symlink("../check.service", wants.join("check.service"))?)
}

/// The container shares this machine's network and certificates.
fn boot(root: &Path) -> Command {
    let mut nspawn = Command::new("systemd-nspawn");
    nspawn.args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"]);
    nspawn.args(["--resolv-conf=copy-host", "--bind-ro=/etc/ssl/certs"]);
    nspawn.arg("--directory").arg(root).args(["--", "--show-status=no"]);
    nspawn
}
