//! Downloading with pip: it knows the person's mirrors, proxies and certificates.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use thiserror::Error;

/// What pip prints of a connection that fails. It then ends with `No matching distribution found` all the same.
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

/// One file on the Python package index.
#[derive(Clone, Copy, Debug)]
pub struct Package<'a> {
    /// Its name on the index.
    pub name: &'a str,
    /// Its version there.
    pub version: &'a str,
    /// As the file's name has it, such as `manylinux_2_28_x86_64`; pip takes it for everybody's machine.
    pub platform: &'a str,
}

/// Why pip has not downloaded a wheel.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// There is no Python.
    #[error("python3 is not installed: `sudo apt install python3 python3-pip`")]
    NoPython,
    /// Python is there without pip.
    #[error("python3 has no pip: `sudo apt install python3-pip`")]
    NoPip,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// The index is not reached.
    #[error("pip cannot reach the package index: check the network")]
    Offline,
    /// The index has no such file, or pip is too old to see it.
    #[error(
        "pip finds no {0}: pip may be too old (`python3 -m pip --version`; 20.3 or later is required), or \
         its index lacks it"
    )]
    NotFound(String),
    /// What pip says of anything else.
    #[error("pip could not download the wheel ({status}): {said}")]
    Other {
        /// How pip ended.
        status: String,
        /// Its last error.
        said: String,
    },
    /// Python could not be started, or the folder not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl DownloadError {
    /// Of a pip that ended with this status, from what it said.
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

/// Downloads the wheel of `package` into the folder `into`; the file's path.
///
/// # Errors
/// When there is no Python or pip, or pip fails.
pub fn download(package: &Package<'_>, into: &Path) -> Result<PathBuf, DownloadError> {
    let run = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--no-input", "--quiet"])
        // One file for everybody, whatever Python and system are here: nothing of it is run.
        .args(["--implementation", "cp", "--python-version", "3.11"])
        .args(["--platform", package.platform, "--dest"])
        .arg(into)
        .arg(format!("{}=={}", package.name, package.version))
        // pip downloads to its temporary folder first, which may be a small one in memory.
        .env("TMPDIR", into)
        // The messages are told apart by their words.
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
    fn each_way_of_failing_is_told_apart() {
        let offline = "WARNING: Retrying (Retry(total=0)) after connection broken by \
            'NewConnectionError(': Failed to establish a new connection: [Errno -3] Temporary \
            failure in name resolution')': /simple/x/\n\
            ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n\
            ERROR: No matching distribution found for x";
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            ("OSError: [Errno 28] No space left on device", "disk is full"),
            (offline, "check the network"),
            ("ERROR: No matching distribution found for x", "finds no p==9.9: pip may be too old"),
            ("Traceback\nERROR: a new trouble\n", "(exit status: 1): ERROR: a new trouble"),
            ("only this\n", "(exit status: 1): only this"),
        ] {
            let package = Package { name: "p", version: "9.9", platform: "any" };
            let told = DownloadError::new(said, "exit status: 1", &package).to_string();
            assert!(told.contains(expected), "{said}: {told}");
        }
    }
}
