//! Signs of a driver and its GPUs, found without querying either.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the kernel shows of the driver and its GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signs {
    /// The version of the loaded module.
    version: Option<Vec<u8>>,
    /// The driver's GPUs and their device files.
    names: Vec<PathBuf>,
}

impl Signs {
    pub(super) fn at(root: &Path) -> Self {
        let listed = |dir: &str| {
            let entries = fs::read_dir(root.join(dir)).into_iter().flatten().flatten();
            entries.map(|entry| entry.path())
        };
        let is_nvidias = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            name.starts_with(b"nvidia") || name == b"dxg"
        };
        let mut names: Vec<_> = listed("dev").filter(is_nvidias).collect();
        names.extend(listed("proc/driver/nvidia/gpus"));
        names.sort_unstable();
        Self { version: fs::read(root.join("proc/driver/nvidia/version")).ok(), names }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_or_gpu_that_comes_or_goes_is_a_sign() {
        let root = tempfile::tempdir().unwrap();
        let mut last = Signs::at(root.path());
        assert_eq!(last, Signs::default());
        let mut changes = |change: &dyn Fn(&Path)| {
            change(root.path());
            let before = std::mem::replace(&mut last, Signs::at(root.path()));
            before != last
        };
        let driver = "proc/driver/nvidia";
        assert!(changes(&|root| {
            fs::create_dir_all(root.join(driver).join("gpus/0000:01:00.0")).unwrap();
            fs::write(root.join(driver).join("version"), "550").unwrap();
        }));
        assert!(!changes(&|_| ()));
        assert!(changes(&|root| fs::write(root.join(driver).join("version"), "560").unwrap()));
        assert!(changes(&|root| {
            fs::create_dir(root.join(driver).join("gpus/0000:02:00.0")).unwrap();
        }));
        assert!(changes(&|root| {
            fs::create_dir(root.join("dev")).unwrap();
            fs::write(root.join("dev/nvidia1"), "").unwrap();
        }));
        assert!(!changes(&|root| fs::write(root.join("dev/null"), "").unwrap()));
    }
}
