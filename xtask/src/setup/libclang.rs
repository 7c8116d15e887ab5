//! Installs libclang from its Python wheel.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use config::units::measured_size;
use wheel::{DownloadError, Member, Package};

use super::lock;
use crate::process;

/// A wheel on the Python package index with one library.
pub(super) struct Wheel {
    package: Package<'static>,
    /// Of the wheel, in lower-case hex.
    sha256: &'static str,
    /// Size of the wheel.
    bytes: u64,
    /// The library's path in the wheel.
    member: &'static str,
    /// Its path below the installation folder.
    library: &'static str,
    /// Its size.
    library_bytes: u64,
}

/// Building the bindings needs a version below 22.
pub(super) const LIBCLANG: Wheel = Wheel {
    package: Package { name: "libclang", version: "18.1.1", platform: "manylinux2010_x86_64" },
    sha256: "c533091d8a3bbf7460a00cb6c1a71da93bffe148f172c7d03b1c31fbf8aa2a0b",
    bytes: 24_515_943,
    member: "libclang-18.1.1.data/platlib/clang/native/libclang.so",
    library: "clang/native/libclang.so",
    library_bytes: 63_703_544,
};

/// Returns the library's path; downloads it unless it is there and complete.
pub(super) fn install(cache: &Path, wheel: &Wheel) -> Result<PathBuf> {
    let Package { name, version, .. } = wheel.package;
    let dir = cache.join(format!("{name}-{version}"));
    let library = dir.join(wheel.library);
    if is_whole(&library, wheel) {
        return Ok(library);
    }
    let _lock = lock(cache)?;
    // Another set-up may have finished first.
    if is_whole(&library, wheel) {
        return Ok(library);
    }
    eprintln!("downloading {name} {version}, {}", measured_size(wheel.bytes));
    // On the same disk as its destination, so that the last step is a rename.
    let aside = tempfile::Builder::new().prefix(".install-").tempdir_in(cache)?;
    let file = download(wheel, aside.path())?;
    check(&file, wheel)?;
    let fresh = aside.path().join("fresh");
    unpack(&file, wheel, &fresh.join(wheel.library))?;
    if dir.exists() {
        fs::rename(&dir, aside.path().join("broken"))?;
    }
    fs::rename(&fresh, &dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(library)
}

/// It was put there by a rename, so it is complete unless it was damaged since.
fn is_whole(library: &Path, wheel: &Wheel) -> bool {
    fs::metadata(library).is_ok_and(|found| found.is_file() && found.len() == wheel.library_bytes)
}

fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let file = wheel::download(&wheel.package, into);
    process::go_on()?;
    file.map_err(|error| match error {
        DownloadError::DiskFull => {
            anyhow!("{error}: {} needs {}", wheel.package.name, measured_size(200_000_000))
        }
        _ => error.into(),
    })
}

fn check(file: &Path, wheel: &Wheel) -> Result<()> {
    let found = File::open(file)
        .and_then(|mut file| wheel::sha256(&mut file))
        .with_context(|| format!("cannot read {}", file.display()))?;
    if found != wheel.sha256 {
        let Package { name, version, .. } = wheel.package;
        bail!(
            "the download of {name} {version} has the SHA-256 {found}, expected {}: it is damaged, or \
             the package index has another file; nothing was installed",
            wheel.sha256
        );
    }
    Ok(())
}

fn unpack(file: &Path, wheel: &Wheel, library: &Path) -> Result<()> {
    fs::create_dir_all(library.parent().context("a library is in a folder")?)?;
    let member = Member { path: wheel.member.to_owned(), target: library.to_owned() };
    wheel::unpack(File::open(file)?, &[member], |_, _| ())?;
    process::go_on()?;
    if !is_whole(library, wheel) {
        bail!("{} has the wrong size", library.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_and_truncated_downloads_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("library");
        let wheel = Wheel { library_bytes: 3, ..LIBCLANG };
        assert!(!is_whole(&file, &wheel));
        fs::write(&file, "ab").unwrap();
        assert!(!is_whole(&file, &wheel));
        fs::write(&file, "abc").unwrap();
        assert!(is_whole(&file, &wheel));
        let error = check(&file, &wheel).unwrap_err().to_string();
        assert!(error.contains("ba7816bf8f01cfea") && error.contains(wheel.sha256), "{error}");
    }
}
