//! Downloading with pip: it knows the person's mirrors, proxies and certificates.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use config::runtime::{TENSORRT_RTX, Wheel};

/// Downloads `wheel` into `into`; the file's path.
pub(super) fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    let run = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--no-input", "--quiet"])
        // One file for everybody, whatever Python and system are here: nothing of it is run.
        .args(["--implementation", "cp", "--python-version", "3.11"])
        .args(["--platform", "manylinux_2_28_x86_64", "-d"])
        .arg(into)
        .arg(format!("{}=={}", wheel.package, wheel.version))
        // pip downloads to its temporary folder first, which may be a small one in memory.
        .env("TMPDIR", into)
        // The messages are told apart below.
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "python3, which downloads the wheel, is not installed: \
             `sudo apt install python3 python3-pip`, {}",
            or_by_hand(wheel, into)
        ),
        Err(error) => return Err(error).context("cannot start python3"),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", explain(&said, &output.status.to_string(), wheel, into));
    }
    let entries = fs::read_dir(into).with_context(|| format!("cannot read {}", into.display()))?;
    let wheels = entries.flatten().map(|entry| entry.path());
    wheels
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .min()
        .with_context(|| format!("pip left no wheel in {}", into.display()))
}

/// What to do about a pip that failed, from what it said.
fn explain(said: &str, status: &str, wheel: &Wheel, into: &Path) -> String {
    let says = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
    let by_hand = or_by_hand(wheel, into);
    if says(&["No module named pip"]) {
        return format!("python3 has no pip: `sudo apt install python3-pip`, {by_hand}");
    }
    if says(&["No space left on device", "Errno 28", "Disk quota exceeded"]) {
        // pip keeps a second copy while it downloads.
        return format!(
            "the disk of {} is full: the installation needs about {} MB, {} MB once finished",
            into.parent().unwrap_or(into).display(),
            2 * wheel.download_mb + wheel.installed_mb,
            wheel.installed_mb
        );
    }
    let last = said.lines().rev().find(|line| line.starts_with("ERROR")).unwrap_or_default();
    // First: without a connection pip ends with `No matching distribution found` all the same.
    if says(&[
        "Failed to establish a new connection",
        "Temporary failure in name resolution",
        "Name or service not known",
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
        "ProxyError",
        "Network is unreachable",
        "Read timed out",
    ]) {
        return format!("pip cannot reach the package index: check the network, {by_hand}");
    }
    if says(&["No matching distribution found"]) {
        return format!(
            "pip finds no {}=={}: pip may be too old (`python3 -m pip --version`; 20.3 or later is \
             required), or its index lacks it; {by_hand}",
            wheel.package, wheel.version
        );
    }
    let said = if last.is_empty() { said.trim() } else { last };
    format!("pip could not download the wheel ({status}): {said}")
}

fn or_by_hand(wheel: &Wheel, into: &Path) -> String {
    let Wheel { package, version, .. } = wheel;
    let then = if *wheel == TENSORRT_RTX {
        "run `sdtrtctl runtime install --wheel FILE`".to_owned()
    } else {
        let dir = into.with_file_name(wheel.dir);
        format!("unzip {} from it into {}", wheel.libraries.join(", "), dir.display())
    };
    format!(
        "or download {package} {version} on another machine from \
         https://pypi.org/project/{package}/{version}/#files and {then}"
    )
}

#[cfg(test)]
mod tests {
    use config::runtime::ONNX_RUNTIME;

    use super::*;

    #[test]
    fn each_way_of_failing_says_what_to_do() {
        let offline = "WARNING: Retrying (Retry(total=0)) after connection broken by \
            'NewConnectionError(': Failed to establish a new connection: [Errno -3] Temporary \
            failure in name resolution')': /simple/x/\n\
            ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n\
            ERROR: No matching distribution found for x";
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
                "/d is full",
            ),
            (offline, "check the network"),
            ("ERROR: No matching distribution found for x", "too old"),
            ("Traceback\nERROR: a new trouble\n", "(exit status: 1): ERROR: a new trouble"),
            ("only this\n", "(exit status: 1): only this"),
        ] {
            let into = Path::new("/d/.install-1");
            let told = explain(said, "exit status: 1", &TENSORRT_RTX, into);
            assert!(told.contains(expected), "{said}\n{told}");
        }
        let told = explain(offline, "exit status: 1", &ONNX_RUNTIME, Path::new("/d/.install-1"));
        assert!(told.ends_with(" into /d/onnxruntime-1.32.0"), "{told}");
    }
}
