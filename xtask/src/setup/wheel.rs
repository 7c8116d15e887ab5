//! Single libraries out of pinned Python wheels.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{lock, pip};
use crate::{process, size};

/// One library in one file on the Python package index.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// As the wheel's name has it; pip takes it for everybody's machine.
    pub(super) platform: &'static str,
    /// Of the wheel, lower-case hex.
    sha256: &'static str,
    /// Size of the wheel.
    bytes: u64,
    /// The library's path in the wheel.
    member: &'static str,
    /// Its path below the installed folder.
    library: &'static str,
    /// Its size.
    library_bytes: u64,
}

/// The bindings' build needs one older than 22.
pub(super) const LIBCLANG: Wheel = Wheel {
    package: "libclang",
    version: "18.1.1",
    platform: "manylinux2010_x86_64",
    sha256: "c533091d8a3bbf7460a00cb6c1a71da93bffe148f172c7d03b1c31fbf8aa2a0b",
    bytes: 24_515_943,
    member: "libclang-18.1.1.data/platlib/clang/native/libclang.so",
    library: "clang/native/libclang.so",
    library_bytes: 63_703_544,
};

/// Python can unzip; another zip reader would be built by everybody for this alone.
const UNZIP: &str = "\
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as member, open(sys.argv[3], 'xb') as file:
    shutil.copyfileobj(member, file)
";

/// The library's path, after fetching it if it is not there whole.
pub(super) fn install(cache: &Path, wheel: &Wheel) -> Result<PathBuf> {
    let dir = cache.join(format!("{}-{}", wheel.package, wheel.version));
    let library = dir.join(wheel.library);
    if is_whole(&library, wheel) {
        return Ok(library);
    }
    let _lock = lock(cache)?;
    // Another set-up may have been faster.
    if is_whole(&library, wheel) {
        return Ok(library);
    }
    eprintln!("fetching {} {}, {}", wheel.package, wheel.version, size::bytes(wheel.bytes));
    // Beside the final place, so that the last step is a rename on one disk.
    let aside = tempfile::Builder::new().prefix(".install-").tempdir_in(cache)?;
    let file = pip::download(wheel, aside.path())?;
    check(&file, wheel)?;
    let fresh = aside.path().join("fresh");
    unpack(&file, wheel, &fresh.join(wheel.library))?;
    if dir.exists() {
        fs::rename(&dir, aside.path().join("broken"))?;
    }
    fs::rename(&fresh, &dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(library)
}

/// It appears by a rename, so it is whole unless somebody broke it since.
fn is_whole(library: &Path, wheel: &Wheel) -> bool {
    fs::metadata(library).is_ok_and(|found| found.is_file() && found.len() == wheel.library_bytes)
}

fn check(file: &Path, wheel: &Wheel) -> Result<()> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(file)?, &mut hasher)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let found = format!("{:x}", hasher.finalize());
    if found != wheel.sha256 {
        bail!(
            "the download of {} {} has the SHA-256 {found}, but {} is wanted: it is damaged, or \
             the package index has another file; nothing was installed",
            wheel.package,
            wheel.version,
            wheel.sha256
        );
    }
    Ok(())
}

fn unpack(file: &Path, wheel: &Wheel, library: &Path) -> Result<()> {
    fs::create_dir_all(library.parent().context("a library lies in a folder")?)?;
    let mut unzip = Command::new("python3");
    unzip.args(["-c", UNZIP]).arg(file).arg(wheel.member).arg(library);
    process::output(&mut unzip).with_context(|| {
        format!("cannot unpack {}, {}", wheel.package, size::bytes(wheel.library_bytes))
    })?;
    File::open(library)?.sync_all()?;
    if !is_whole(library, wheel) {
        bail!("{} is not of the size that its wheel had", library.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_or_cut_short_is_noticed() {
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
