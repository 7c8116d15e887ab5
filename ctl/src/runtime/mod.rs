//! Installing libraries out of pinned wheels.

mod pip;
mod unpack;

use std::{
    fs::{self, File, Permissions, TryLockError},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use config::runtime::Wheel;
use indicatif::ProgressBar;

/// Prefix of the folders that hold an unfinished installation.
const ASIDE: &str = ".install-";

/// Where the libraries are.
pub(crate) struct Installed {
    pub(crate) dir: PathBuf,
    /// They were already installed.
    pub(crate) already: bool,
}

/// Puts the libraries of `wheel` into the data folder: from the package index, or from a file
/// that somebody has downloaded.
pub(crate) fn install(data_dir: &Path, wheel: &Wheel, file: Option<&Path>) -> Result<Installed> {
    let dir = wheel.installed_dir(data_dir);
    // It appears by one rename, so that what is in it is whole; but somebody may have deleted a file
    // since.
    if wheel.is_installed(data_dir) {
        return Ok(Installed { dir, already: true });
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("{} {} is pinned for x86-64 Linux only", wheel.package, wheel.version);
    }
    let Some(parent) = dir.parent() else { bail!("{} has no parent folder", dir.display()) };
    fs::create_dir_all(parent).with_context(|| in_folder("create the folder", parent))?;
    let _lock = lock(parent)?;
    // Another install may have been faster.
    if wheel.is_installed(data_dir) {
        return Ok(Installed { dir, already: true });
    }
    sweep(parent);
    // Beside the final place, so that the last step is a rename on one disk.
    let aside = tempfile::Builder::new()
        .prefix(ASIDE)
        .tempdir_in(parent)
        .with_context(|| in_folder("write to", parent))?;
    let found = match file {
        Some(file) => file.to_owned(),
        None => download(wheel, aside.path())?,
    };
    let mut opened =
        File::open(&found).with_context(|| format!("cannot read {}", found.display()))?;
    let digest =
        wheel::sha256(&mut opened).with_context(|| format!("cannot read {}", found.display()))?;
    if digest != wheel.sha256 {
        // A download is deleted with its folder; a file that the user passed is theirs.
        let kept = if file.is_some() { "not used" } else { "deleted" };
        bail!(
            "the wheel's SHA-256 is {digest}, but that of {} {} is {}: it is damaged or another wheel, \
             and was {kept}",
            wheel.package,
            wheel.version,
            wheel.sha256
        );
    }
    let fresh = aside.path().join("libraries");
    unpack::unpack(opened, wheel, &fresh)?;
    replace(&dir, &fresh, aside.path())
        .with_context(|| format!("cannot put the libraries into {}", dir.display()))?;
    Ok(Installed { dir, already: false })
}

fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let spinner = ProgressBar::new_spinner();
    let Wheel { package, version, download_mb, .. } = wheel;
    spinner.set_message(format!("downloading {package} {version}, about {download_mb} MB"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let found = pip::download(wheel, into);
    spinner.finish_and_clear();
    found
}

/// Held until the file is closed, which the system does even if this program is killed.
fn lock(parent: &Path) -> Result<File> {
    let path = parent.join(".lock");
    // Whoever may open it may hold it, too.
    let file = File::options().create(true).append(true).mode(0o600).open(&path);
    let file = file.with_context(|| in_folder("write to", parent))?;
    let _ = file.set_permissions(Permissions::from_mode(0o600));
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another `sdtrtctl runtime install` is running in {}", parent.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Deletes what killed installations left behind; the lock rules out running ones.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(ASIDE.as_bytes()) {
            // A failure costs only space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Moves `fresh` to `dir`; an incomplete installation there is deleted with `aside`.
fn replace(dir: &Path, fresh: &Path, aside: &Path) -> io::Result<()> {
    if fs::symlink_metadata(dir).is_ok() {
        fs::rename(dir, aside.join("incomplete"))?;
    }
    fs::rename(fresh, dir)?;
    dir.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn in_folder(what: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "cannot {what} {dir}; use `sudo sdtrtctl runtime install` for the system's sdtrtd, or --data-dir \
         for another data folder"
    )
}

#[cfg(test)]
mod tests {
    use config::runtime::{LIBRARY, ONNX_PARSER};

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn installs_once_and_repairs() {
        let temp = tempfile::tempdir().unwrap();
        let (file, wheel) = unpack::tests::sample(temp.path());
        let data = temp.path().join("data");
        let runtime = data.join("runtime");
        fs::create_dir_all(runtime.join(".install-killed/x")).unwrap();

        let first = install(&data, &wheel, Some(&file)).unwrap();
        assert!(!first.already);
        assert_eq!(first.dir, runtime.join("9.9"));
        assert_eq!(names(&first.dir), [ONNX_PARSER, LIBRARY]);
        assert_eq!(names(&runtime), [".lock", "9.9"]);
        let mode = fs::metadata(runtime.join(".lock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else may hold it");

        assert!(install(&data, &wheel, None).unwrap().already);
        fs::remove_file(first.dir.join(LIBRARY)).unwrap();
        assert!(!install(&data, &wheel, Some(&file)).unwrap().already);
        assert_eq!(names(&first.dir), [ONNX_PARSER, LIBRARY]);
        assert_eq!(names(&runtime), [".lock", "9.9"]);
    }

    #[test]
    fn another_file_is_refused_with_both_hashes_and_kept() {
        let temp = tempfile::tempdir().unwrap();
        let (file, wheel) = unpack::tests::sample(temp.path());
        fs::write(&file, "abc").unwrap();
        let error = install(temp.path(), &wheel, Some(&file)).err().unwrap().to_string();
        assert!(error.contains(wheel.sha256), "{error}");
        assert!(error.contains("ba7816bf8f01cfea414140de5dae2223"), "{error}");
        assert!(file.exists());
        assert_eq!(names(&temp.path().join("runtime")), [".lock"]);
    }

    #[test]
    fn one_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let (file, wheel) = unpack::tests::sample(temp.path());
        let runtime = temp.path().join("runtime");
        fs::create_dir(&runtime).unwrap();
        let held = lock(&runtime).unwrap();
        let error = install(temp.path(), &wheel, Some(&file)).err().unwrap().to_string();
        assert!(error.contains("another"), "{error}");
        drop(held);
        install(temp.path(), &wheel, Some(&file)).unwrap();
    }
}
