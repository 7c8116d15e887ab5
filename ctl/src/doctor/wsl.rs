//! Windows' Subsystem for Linux: where its driver, its disks and its init differ from Linux's own.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use checkpoint::FileSystem;
use config::Config;
use protocol::Machine;

use super::Finding;

/// Where Windows puts its driver's libraries.
const LIBRARIES: &str = "usr/lib/wsl/lib";

const NEEDED: [&str; 2] = ["libcuda.so.1", "libnvidia-ml.so.1"];

/// Where a driver made for Linux has them.
const LINUX_DRIVER: [&str; 2] = ["usr/lib/x86_64-linux-gnu/libcuda.so.1", "usr/lib64/libcuda.so.1"];

/// The kind of file system of Windows' disks, in `/mnt/c`.
const NINE_P: u32 = 0x0102_1997;

/// What tells WSL from other Linuxes, and what it lacks.
#[derive(Clone, Debug, Default)]
pub(super) struct Signs {
    /// `/proc/version`.
    kernel: String,
    /// Whether Windows' programs can be started, as only WSL can.
    starts_windows_programs: bool,
    /// The libraries of [`NEEDED`] that Windows' driver has left here.
    libraries: Vec<&'static str>,
    /// A library of a driver made for Linux, which is loaded instead.
    linux_driver: Option<PathBuf>,
    has_systemd: bool,
}

impl Signs {
    /// Those of a machine whose files are below `root`.
    pub(super) fn of(root: &Path) -> Self {
        let interop = root.join("proc/sys/fs/binfmt_misc");
        let is_there = |name: &&str| root.join(LIBRARIES).join(name).exists();
        let windows = root.join(LIBRARIES).join(NEEDED[0]).canonicalize().ok();
        let is_linuxs = |library: &PathBuf| {
            library.canonicalize().is_ok_and(|library| Some(library) != windows)
        };
        Self {
            kernel: fs::read_to_string(root.join("proc/version")).unwrap_or_default(),
            starts_windows_programs: ["WSLInterop", "WSLInterop-late"]
                .iter()
                .any(|name| interop.join(name).exists()),
            libraries: NEEDED.into_iter().filter(is_there).collect(),
            linux_driver: LINUX_DRIVER.map(|path| root.join(path)).into_iter().find(is_linuxs),
            has_systemd: root.join("run/systemd/system").is_dir(),
        }
    }

    /// Which WSL it is, if any. A kernel of one's own need not say so.
    fn version(&self) -> Option<u32> {
        if self.kernel.contains("-Microsoft") {
            return Some(1);
        }
        (self.starts_windows_programs || self.kernel.contains("microsoft")).then_some(2)
    }
}

/// Nothing outside WSL. `machine` is absent if `sdtrtd` could not be asked.
pub(super) fn all(signs: &Signs, machine: Option<&Machine>, config: &Config) -> Vec<Finding> {
    const TOPIC: &str = "WSL";
    match signs.version() {
        None => vec![],
        Some(1) => {
            let advice = "`wsl --set-version DISTRIBUTION 2` in Windows";
            vec![Finding::bad(TOPIC, "WSL 1, which has no GPUs", advice)]
        }
        Some(version) => {
            let mut findings = vec![Finding::ok(TOPIC, format!("WSL {version}"))];
            findings.push(driver(signs, machine));
            findings.push(init(signs));
            findings.extend(disks(config, |path| {
                let device = path.metadata().map_or(0, |found| found.dev());
                FileSystem::of(path, device).kind
            }));
            findings
        }
    }
}

fn driver(signs: &Signs, machine: Option<&Machine>) -> Finding {
    const TOPIC: &str = "WSL driver";
    let missing: Vec<_> = NEEDED.iter().filter(|name| !signs.libraries.contains(name)).collect();
    if let [first, ..] = missing[..] {
        return Finding::warning(
            TOPIC,
            format!("{first} is not in /{LIBRARIES}"),
            "install NVIDIA's driver in Windows, none in Linux, then `wsl --update` and `wsl --shutdown` in Windows; \
             start containers with `--gpus all`",
        );
    }
    if let Some(library) = &signs.linux_driver {
        return Finding::bad(
            TOPIC,
            format!("{} hides that of Windows' driver", library.display()),
            "remove the driver made for Linux: `sudo apt purge 'libcuda1' 'libnvidia-compute*' 'nvidia-driver*'`",
        );
    }
    if machine.is_some_and(|machine| machine.driver.is_none() && !machine.driver_broken) {
        return Finding::bad(
            TOPIC,
            format!("the libraries in /{LIBRARIES} are not loaded"),
            "`echo /usr/lib/wsl/lib | sudo tee /etc/ld.so.conf.d/ld.wsl.conf && sudo ldconfig`",
        );
    }
    Finding::ok(TOPIC, format!("its libraries are in /{LIBRARIES}"))
}

fn init(signs: &Signs) -> Finding {
    const TOPIC: &str = "WSL init";
    if signs.has_systemd {
        return Finding::ok(TOPIC, "systemd");
    }
    Finding::warning(
        TOPIC,
        "systemd is off, so that no unit starts sdtrtd",
        "put `systemd=true` below `[boot]` in /etc/wsl.conf, then `wsl --shutdown` in Windows; or start `sdtrtd` by hand",
    )
}

/// Which of the folders are on Windows' disks; `kind_of` tells a folder's file system.
fn disks(config: &Config, kind_of: impl Fn(&Path) -> u32) -> Vec<Finding> {
    let is_windows = |path: &Path| {
        let place = path.ancestors().find(|path| path.exists());
        place.is_some_and(|place| kind_of(place) == NINE_P)
    };
    let models = config.models_dirs.iter().filter(|dir| is_windows(dir)).map(|dir| {
        let found = format!(
            "{} is on Windows' disk: changes are seen within some 10 s, and reading is slow",
            dir.display()
        );
        Finding::ok("models folder", found)
    });
    let data = is_windows(&config.data_dir).then(|| {
        Finding::warning(
            "data folder",
            format!("{} is on Windows' disk, which is slow", config.data_dir.display()),
            "choose a `data_dir` on Linux's, such as ~/.local/share/sdtrt",
        )
    });
    models.chain(data).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::doctor::Verdict;

    const WSL_1: &str = "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)";
    const WSL_2: &str = "Linux version 5.15.167.4-microsoft-standard-WSL2 (root@f9c826d3017f)";
    const DEBIAN: &str = "Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org)";

    /// A root with these files, empty but for `proc/version`.
    fn root(kernel: &str, files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files.iter().chain(&["proc/version"]) {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, kernel).unwrap();
        }
        root
    }

    fn machine(driver: Option<&str>) -> Machine {
        Machine {
            version: "0.1.0".into(),
            driver: driver.map(str::to_owned),
            driver_problem: None,
            driver_broken: false,
            gpus: vec![],
            runtime: None,
            runtime_problem: None,
        }
    }

    #[test]
    fn what_wsl_lacks_is_told_and_nothing_elsewhere() {
        const CUDA: &str = "usr/lib/wsl/lib/libcuda.so.1";
        const NVML: &str = "usr/lib/wsl/lib/libnvidia-ml.so.1";
        const SYSTEMD: &str = "run/systemd/system/x";
        const INTEROP: &str = "proc/sys/fs/binfmt_misc/WSLInterop";
        const LATE: &str = "proc/sys/fs/binfmt_misc/WSLInterop-late";
        let sound: &[&str] = &[CUDA, NVML, SYSTEMD];
        for (kernel, files, driver, told) in [
            (DEBIAN, &[][..], None, &[][..]),
            (DEBIAN, sound, None, &[]),
            (WSL_1, &[], None, &["WSL 1"]),
            (WSL_2, sound, Some("580.95"), &[]),
            (DEBIAN, &[INTEROP, NVML, SYSTEMD], None, &["libcuda.so.1 is not in"]),
            (DEBIAN, &[LATE, CUDA, SYSTEMD], None, &["libnvidia-ml.so.1 is not in"]),
            (WSL_2, sound, None, &["are not loaded"]),
            (WSL_2, &[CUDA, NVML], Some("580.95"), &["systemd is off"]),
            (WSL_2, &[], None, &["libcuda.so.1 is not in", "systemd is off"]),
            (
                WSL_2,
                &[CUDA, NVML, SYSTEMD, "usr/lib/x86_64-linux-gnu/libcuda.so.1"],
                Some("580.95"),
                &["hides that of Windows' driver"],
            ),
        ] {
            let root = root(kernel, files);
            let signs = Signs::of(root.path());
            let findings = all(&signs, Some(&machine(driver)), &Config::default());
            let bad: Vec<_> =
                findings.iter().filter(|finding| finding.verdict != Verdict::Ok).collect();
            assert_eq!(bad.len(), told.len(), "{kernel}: {bad:?}");
            for (finding, told) in bad.iter().zip(told) {
                assert!(finding.found.contains(told), "{finding:?}");
                assert!(finding.advice.is_some(), "{finding:?}");
            }
            assert_eq!(findings.is_empty(), signs.version().is_none(), "{kernel}");
        }
    }

    #[test]
    fn a_link_to_windows_library_hides_nothing() {
        let root = root(WSL_2, &["usr/lib/wsl/lib/libcuda.so.1"]);
        let folder = root.path().join("usr/lib/x86_64-linux-gnu");
        fs::create_dir_all(&folder).unwrap();
        symlink("../wsl/lib/libcuda.so.1", folder.join("libcuda.so.1")).unwrap();
        assert_eq!(Signs::of(root.path()).linux_driver, None);
    }

    #[test]
    fn folders_on_windows_disks_are_named() {
        let place = tempfile::tempdir().unwrap();
        let [windows, linux] = ["c", "home"].map(|name| place.path().join(name));
        fs::create_dir(&windows).unwrap();
        let kind_of = |path: &Path| if path.starts_with(&windows) { NINE_P } else { 0xef53 };
        let told = |data_dir: PathBuf| {
            let models_dirs = vec![windows.join("models"), linux.clone()];
            disks(&Config { models_dirs, data_dir, ..Config::default() }, kind_of)
        };
        assert_eq!(told(linux.join("data")).len(), 1);
        let told = told(windows.join("not/yet/there"));
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].verdict, Verdict::Warning);
    }
}
