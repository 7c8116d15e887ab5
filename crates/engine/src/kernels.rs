use std::path::{Path, PathBuf};

use checkpoint::Id;

/// The folder in a data folder with a folder of kernels for each machine, by [`kernels_folder`].
pub fn kernels_root(data_dir: &Path) -> PathBuf {
    data_dir.join("kernels")
}

/// The file of an engine's kernels on a machine, which is [`kernels_folder`]'s.
pub fn kernels_file(data_dir: &Path, machine: &str, engine: &Id) -> PathBuf {
    kernels_root(data_dir).join(machine).join(format!("{engine}.cache"))
}

/// The name of the folder of the kernels compiled for one GPU model, driver and TensorRT, which load nowhere
/// else. The web UI's extension computes the same name.
pub fn kernels_folder(gpu: &str, driver: &str, tensorrt: &str) -> String {
    let plain = |part: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '_' };
        part.chars().map(plain).collect::<String>()
    };
    [gpu, driver, tensorrt].map(plain).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_folder_that_the_web_ui_reads() {
        for ((gpu, driver, tensorrt), expected) in [
            (("NVIDIA H200", "580.159.04", "1.6.1.120"), "NVIDIA_H200-580.159.04-1.6.1.120"),
            (("GeForce RTX 4090 (24-GB)/é", "1", "2"), "GeForce_RTX_4090__24_GB___-1-2"),
            (("../x", "", "1"), ".._x--1"),
        ] {
            assert_eq!(kernels_folder(gpu, driver, tensorrt), expected);
        }
    }
}
