//! Downloads with pip, which knows the user's mirrors, proxies and certificates.

use std::{
    fs, io,
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
};

use thiserror::Error;

/// What pip prints when a connection fails, before it says `No matching distribution found` all the same.
const OFFLINE: [&str; 9] = [
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Name or service not known",
    "NewConnectionError",
    "NameResolution",
    "ConnectTimeout",
    "ProxyError",
    "Network is unreachable",
    "Read timed out",
];

/// A wheel on the Python package index.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// The project's name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The platform tag, such as `manylinux_2_28_x86_64`, which makes pip ignore this machine's own.
    pub platform: &'a str,
}

/// Why a download failed.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// Python is missing.
    #[error("python3 is not installed: `sudo apt install python3 python3-pip`")]
    NoPython,
    /// pip is missing.
    #[error("python3 has no pip: `sudo apt install python3-pip`")]
    NoPip,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The index can't be reached.
    #[error("pip cannot reach the package index: check the network")]
    Offline,
    /// The index has no such file, or pip is too old to see it.
    #[error(
        "pip cannot find {0}: pip may be too old (`python3 -m pip --version`; 20.3 or later is required), or \
         its index lacks it"
    )]
    NotFound(String),
    /// Any other failure.
    #[error("pip could not download the wheel ({status}): {said}")]
    Other {
        /// pip's exit status.
        status: String,
        /// pip's last error.
        said: String,
    },
    /// Python could not be started, or the folder could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DownloadError {
    /// Classifies a failure by what pip printed.
    #[must_use]
    pub fn new(said: &str, status: &str, package: &Package<'_>) -> Self {
        let says = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
        if says(&["No module named pip"]) {
            Self::NoPip
        } else if says(&["No space left on device", "Errno 28", "Disk quota exceeded"]) {
            Self::DiskFull
        } else if says(&OFFLINE) {
            Self::Offline
        } else if says(&["No matching distribution found"]) {
            Self::NotFound(format!("{}=={}", package.name, package.version))
        } else {
            let last = said.lines().rev().find(|line| line.starts_with("ERROR"));
            Self::Other {
                status: status.to_owned(),
                said: last.unwrap_or_else(|| said.trim()).to_owned(),
            }
        }
    }
}

/// Downloads the wheel of `package` into the folder `into`. Returns its path.
///
/// # Errors
/// If Python or pip is missing, or pip fails.
pub fn download(package: &Package<'_>, into: &Path) -> Result<PathBuf, DownloadError> {
    let into = path::absolute(into)?;
    let into = into.as_path();
    let run = Command::new("python3")
        // Python looks for `pip` in the current folder first, which may be anybody's; this one is new.
        .current_dir(into)
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--no-input", "--quiet"])
        // The same file whatever Python and system this machine has: none of it is run.
        .args(["--implementation", "cp", "--python-version", "3.11"])
        .args(["--platform", package.platform, "--dest"])
        .arg(into)
        .arg(format!("{}=={}", package.name, package.version))
        // pip downloads to its temporary folder first, which may be a small tmpfs.
        .env("TMPDIR", into)
        // The messages are matched in English.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output();
    let output = run.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DownloadError::NoPython,
        _ => error.into(),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(DownloadError::new(&said, &output.status.to_string(), package));
    }
    let files = fs::read_dir(into)?.flatten().map(|entry| entry.path());
    let wheels = files.filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.min().ok_or_else(|| DownloadError::Other {
        status: output.status.to_string(),
        said: format!("it left no wheel in {}", into.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_of_the_current_folder_is_not_run() {
        let here = PathBuf::from("pip.py");
        let (into, ran) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let marker = ran.path().join("ran");
        // Tests start in their crate's folder.
        fs::write(&here, format!("open({marker:?}, 'w')")).unwrap();
        let package = Package { name: "no-such-package", version: "0", platform: "any" };
        let downloaded = download(&package, into.path());
        fs::remove_file(&here).unwrap();
        assert!(downloaded.is_err());
        assert!(!marker.exists());
    }

    #[test]
    fn every_failure_is_classified() {
        let offline = "WARNING: Retrying (Retry(total=0)) after connection broken by \
            'NewConnectionError(': Failed to establish a new connection: [Errno -3] Temporary \
            failure in name resolution')': /simple/x/\n\
            ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n\
            ERROR: No matching distribution found for x";
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            ("OSError: [Errno 28] No space left on device", "disk is full"),
            (offline, "check the network"),
            (
                "ERROR: No matching distribution found for x",
                "cannot find p==9.9: pip may be too old",
            ),
            ("Traceback\nERROR: a new trouble\n", "(exit status: 1): ERROR: a new trouble"),
            ("only this\n", "(exit status: 1): only this"),
        ] {
            let package = Package { name: "p", version: "9.9", platform: "any" };
            let told = DownloadError::new(said, "exit status: 1", &package).to_string();
            assert!(told.contains(expected), "{said}: {told}");
        }
    }
}
