//! The package's files, laid out as below `/`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::CONFIGURATION;
use crate::{cargo::Programs, folders, process};

/// The folder of the programs in the user unit, for those who build by hand.
const HOME_BIN: &str = "%h/.local/bin/";

/// What git tracks or would track: no leftovers of Python or an editor.
const LISTED: [&str; 4] = ["ls-files", "--cached", "--others", "--exclude-standard"];

/// The folder that contains them.
pub(super) struct Tree {
    pub(super) root: PathBuf,
}

impl Tree {
    /// Fills the folder `root`.
    pub(super) fn lay_out(root: &Path, programs: &Programs) -> Result<Self> {
        let tree = Self { root: root.to_owned() };
        tree.install(&programs.sdtrtd, "usr/bin/sdtrtd", 0o755)?;
        tree.install(&programs.sdtrtctl, "usr/bin/sdtrtctl", 0o755)?;
        tree.install(&programs.worker, "usr/libexec/sdtrt/sdtrt-worker", 0o755)?;
        tree.units()?;
        tree.manual(programs)?;
        tree.completions(programs)?;
        tree.write(CONFIGURATION, &configuration())?;
        let home = project();
        if home.join("webui").is_dir() {
            tree.copy(&home.join("webui"), "usr/share/sdtrt/webui")?;
        }
        tree.copy(&home.join("docs"), "usr/share/doc/sdtrt/docs")?;
        for name in ["README.md", "CHANGELOG.md", "LICENSE"] {
            tree.install(&home.join(name), &format!("usr/share/doc/sdtrt/{name}"), 0o644)?;
        }
        tree.write("usr/share/doc/sdtrt/copyright", COPYRIGHT)?;
        Ok(tree)
    }

    /// The units, with the package's paths of the programs.
    fn units(&self) -> Result<()> {
        let systemd = project().join("systemd");
        for kind in ["system", "user"] {
            for entry in fs::read_dir(systemd.join(kind))? {
                let from = entry?.path();
                let name = from.file_name().context("a unit has a name")?.to_string_lossy();
                let unit = fs::read_to_string(&from)?.replace(HOME_BIN, "/usr/bin/");
                self.write(&format!("usr/lib/systemd/{kind}/{name}"), &unit)?;
            }
        }
        self.copy(&systemd.join("sysusers.d"), "usr/lib/sysusers.d")?;
        self.copy(&systemd.join("tmpfiles.d"), "usr/lib/tmpfiles.d")
    }

    fn manual(&self, programs: &Programs) -> Result<()> {
        let pages = self.make("usr/share/man/man1")?;
        process::run(Command::new(&programs.sdtrtctl).args(["manual", "--output"]).arg(&pages))?;
        let page = process::output(Command::new(&programs.sdtrtd).arg("manual"))?;
        self.write("usr/share/man/man1/sdtrtd.1", &page)?;
        let mut gzip = Command::new("gzip");
        for entry in fs::read_dir(&pages)? {
            gzip.arg(entry?.path());
        }
        process::run(gzip.args(["-9", "-n"]))
    }

    fn completions(&self, programs: &Programs) -> Result<()> {
        for (shell, path) in [
            ("bash", "usr/share/bash-completion/completions/sdtrtctl"),
            ("zsh", "usr/share/zsh/vendor-completions/_sdtrtctl"),
            ("fish", "usr/share/fish/vendor_completions.d/sdtrtctl.fish"),
        ] {
            let mut command = Command::new(&programs.sdtrtctl);
            self.write(path, &process::output(command.args(["completions", shell]))?)?;
        }
        Ok(())
    }

    fn make(&self, dir: &str) -> Result<PathBuf> {
        let dir = self.root.join(dir);
        folders::make(&dir)?;
        Ok(dir)
    }

    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.root.join(path);
        folders::make(place.parent().unwrap_or(&self.root))?;
        Ok(place)
    }

    fn install(&self, from: &Path, path: &str, mode: u32) -> Result<()> {
        let place = self.place(path)?;
        fs::copy(from, &place).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(fs::set_permissions(&place, fs::Permissions::from_mode(mode))?)
    }

    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        let place = self.place(path)?;
        fs::write(&place, text)?;
        Ok(fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?)
    }

    /// Copies a folder with everything in it that git tracks or would track.
    fn copy(&self, from: &Path, to: &str) -> Result<()> {
        let listed = process::output(Command::new("git").arg("-C").arg(from).args(LISTED))?;
        // Tests are useful only with the sources.
        for name in listed.lines().filter(|name| !name.starts_with("tests/")) {
            self.install(&from.join(name), &format!("{to}/{name}"), 0o644)?;
        }
        Ok(())
    }
}

/// The documented file with the system unit's settings.
fn configuration() -> String {
    config::filled([
        ("models_dirs", "[\"/var/lib/sdtrt/models\"]".to_owned()),
        ("data_dir", "\"/var/lib/sdtrt\"".to_owned()),
        ("socket", "\"/run/sdtrtd.sock\"".to_owned()),
    ])
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: sdtrt

Files: *
Copyright: the authors of sdtrt
License: Apache-2.0
 On Debian systems the license is in /usr/share/common-licenses/Apache-2.0.
";
