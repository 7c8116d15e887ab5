//! Downloading with pip: it knows the person's mirrors, proxies and certificates.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::wheel::Wheel;

/// Downloads the wheel into the folder; the file's path.
pub(super) fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let run = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"])
        .args(["--disable-pip-version-check", "--no-input"])
        // One file for everybody, whatever Python and system are here: nothing of it is run.
        .args(["--implementation", "cp", "--python-version", "3.11"])
        .args(["--platform", wheel.platform])
        .arg("--dest")
        .arg(into)
        .arg(format!("{}=={}", wheel.package, wheel.version))
        // The messages are told apart below.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!("python3 is not installed: `sudo apt install python3 python3-pip`")
        }
        Err(error) => return Err(error).context("cannot start python3"),
    };
    crate::process::go_on()?;
    if !output.status.success() {
        bail!("{}", explain(&String::from_utf8_lossy(&output.stderr), wheel));
    }
    let files = fs::read_dir(into)?.flatten().map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .min()
        .with_context(|| format!("pip left no wheel in {}", into.display()))
}

/// What to do about a pip that failed, from what it said.
fn explain(said: &str, wheel: &Wheel) -> String {
    let says = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
    let what = format!("{} {}", wheel.package, wheel.version);
    if says(&["No module named pip"]) {
        "python3 has no pip: `sudo apt install python3-pip`".to_owned()
    } else if says(&["No space left on device", "Disk quota exceeded"]) {
        format!("the disk is full: {what} needs {}", crate::size::bytes(200_000_000))
    // Before the next: without a connection pip also finds no matching distribution.
    } else if says(&["NewConnectionError", "NameResolution", "ConnectTimeout", "ProxyError"])
        || says(&["Network is unreachable", "Read timed out", "Name or service not known"])
    {
        format!(
            "pip cannot reach the package index for {what}: check the network, then run this again"
        )
    } else if says(&["No matching distribution found"]) {
        format!("pip finds no {what}: its index lacks it, or pip is older than 20.3")
    } else {
        format!("pip could not download {what}: {}", said.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::wheel::LIBCLANG;

    #[test]
    fn each_way_of_failing_says_what_to_do() {
        let offline = "WARNING: Retrying after connection broken by 'NewConnectionError(': \
            Failed to establish a new connection\nERROR: No matching distribution found for x";
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            ("OSError: [Errno 28] No space left on device", "disk is full"),
            (offline, "check the network"),
            ("ERROR: No matching distribution found for x", "older than 20.3"),
            ("ERROR: something new", "libclang 18.1.1: ERROR: something new"),
        ] {
            let told = explain(said, &LIBCLANG);
            assert!(told.contains(expected), "{said}: {told}");
        }
    }
}
