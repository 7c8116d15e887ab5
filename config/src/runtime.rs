//! The tested libraries, and where they are installed.

use std::path::{Path, PathBuf};

use crate::ComputeCapability;

/// The main library's file name, in the wheel and for the loader.
pub const LIBRARY: &str = "libtensorrt_rtx.so.1";

/// The ONNX parser's file name, in the same folder.
pub const ONNX_PARSER: &str = "libtensorrt_onnxparser_rtx.so.1";

/// Tested versions. The C++ interface is compiled in from headers, so another version may crash in the first
/// call: it is not used.
pub const TESTED: [&str; 2] = ["1.6.1.120", "1.7.1.116"];

/// The compute capabilities that TensorRT-RTX 1.6 and 1.7 can build for by name, found by testing.
pub const BUILDABLE: [ComputeCapability; 6] = [
    ComputeCapability { major: 7, minor: 5 },
    ComputeCapability { major: 8, minor: 0 },
    ComputeCapability { major: 8, minor: 6 },
    ComputeCapability { major: 8, minor: 9 },
    ComputeCapability { major: 12, minor: 0 },
    ComputeCapability { major: 12, minor: 1 },
];

/// A wheel on the Python package index, pinned by its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// The package's name.
    pub package: &'static str,
    /// The version of the package and of its libraries.
    pub version: &'static str,
    /// SHA-256 of the wheel for x86-64 Linux, in lower-case hex.
    pub sha256: &'static str,
    /// Approximate size of the wheel in MB.
    pub download_mb: u32,
    /// Approximate size of the libraries in MB.
    pub installed_mb: u32,
    /// The folder with the libraries in the wheel.
    pub folder: &'static str,
    /// The libraries' file names.
    pub libraries: &'static [&'static str],
    /// The folder to install into, below the data folder.
    pub dir: &'static str,
}

impl Wheel {
    /// The folder of its libraries below a data folder.
    pub fn installed_dir(&self, data_dir: &Path) -> PathBuf {
        installed_dir(data_dir, self.dir)
    }

    /// Whether all of its libraries are installed.
    pub fn is_installed(&self, data_dir: &Path) -> bool {
        let dir = self.installed_dir(data_dir);
        self.libraries.iter().all(|name| dir.join(name).is_file())
    }
}

/// Builds and runs engines. Downloading it needs no account.
pub const TENSORRT_RTX: Wheel = Wheel {
    package: "tensorrt-rtx-cu12-libs",
    version: "1.7.1.116",
    sha256: "68c2615fef1556e7721235682f460f3d78ab89df320a3f34a416367b144817a8",
    download_mb: 90,
    installed_mb: 225,
    folder: "tensorrt_rtx_libs",
    libraries: &[LIBRARY, ONNX_PARSER],
    dir: "1.7.1.116",
};

/// Computes on the CPU what engines are validated against. The wheel is for one version of Python, but its
/// library is the same in all.
pub const ONNX_RUNTIME: Wheel = Wheel {
    package: "onnxruntime",
    version: "1.32.0",
    sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
    download_mb: 28,
    installed_mb: 35,
    folder: "onnxruntime/capi",
    libraries: &["libonnxruntime.so.1.32.0"],
    dir: "onnxruntime-1.32.0",
};

/// The folder of one version's TensorRT-RTX libraries below a data folder.
pub fn installed_dir(data_dir: &Path, version: &str) -> PathBuf {
    data_dir.join("runtime").join(version)
}

/// The path of ONNX Runtime's library below a data folder, if installed; otherwise the loader may find one.
pub fn onnx_runtime(data_dir: &Path) -> Option<PathBuf> {
    let library = ONNX_RUNTIME.installed_dir(data_dir).join(ONNX_RUNTIME.libraries[0]);
    library.is_file().then_some(library)
}
