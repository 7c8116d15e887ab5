//! The download, and what to do where it fails.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use config::runtime::{TENSORRT_RTX, Wheel};
use wheel::{DownloadError, Package};

/// Downloads `wheel` into `into`; the file's path.
pub(super) fn download(wheel: &Wheel, into: &Path) -> Result<PathBuf> {
    match wheel::download(&package(wheel), into) {
        Ok(file) => Ok(file),
        Err(DownloadError::Io(error)) => Err(error).context("cannot run python3"),
        Err(error) => bail!("{}", explain(&error, wheel, into)),
    }
}

fn package(wheel: &Wheel) -> Package<'static> {
    let Wheel { package, version, .. } = *wheel;
    Package { name: package, version, platform: "manylinux_2_28_x86_64" }
}

/// What to do about a download that failed.
fn explain(error: &DownloadError, wheel: &Wheel, into: &Path) -> String {
    match error {
        DownloadError::DiskFull => format!(
            "the disk of {} is full: the installation needs about {} MB, {} MB once finished",
            into.parent().unwrap_or(into).display(),
            // pip keeps a second copy while it downloads.
            2 * wheel.download_mb + wheel.installed_mb,
            wheel.installed_mb
        ),
        DownloadError::Other { .. } | DownloadError::Io(_) => error.to_string(),
        _ => format!("{error}; {}", or_by_hand(wheel, into)),
    }
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
        let into = Path::new("/d/.install-1");
        let told = |said: &str, wheel: &Wheel| {
            let error = DownloadError::new(said, "exit status: 1", &package(wheel));
            explain(&error, wheel, into)
        };
        let offline = "NewConnectionError(\nERROR: No matching distribution found for x";
        for (said, expected) in [
            ("/usr/bin/python3: No module named pip", "apt install python3-pip"),
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
                "/d is full",
            ),
            (offline, "check the network; or download"),
            ("ERROR: No matching distribution found for x", "too old"),
            ("Traceback\nERROR: a new trouble\n", "(exit status: 1): ERROR: a new trouble"),
            ("only this\n", "(exit status: 1): only this"),
        ] {
            let told = told(said, &TENSORRT_RTX);
            assert!(told.contains(expected), "{said}\n{told}");
        }
        let told = told(offline, &ONNX_RUNTIME);
        assert!(told.ends_with(" into /d/onnxruntime-1.32.0"), "{told}");
    }
}
