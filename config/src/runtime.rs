//! The TensorRT-RTX that is known to work, and where it is put.

use std::path::{Path, PathBuf};

use crate::ComputeCapability;

/// The main library's file name, in the wheel and for the loader.
pub const LIBRARY: &str = "libtensorrt_rtx.so.1";

/// The ONNX parser's file name, in the same folder.
pub const ONNX_PARSER: &str = "libtensorrt_onnxparser_rtx.so.1";

/// Versions that engines were built with and checked. The C++ interface follows the headers
/// compiled in, so another version may crash on the first call: it is not tried.
pub const TESTED: [&str; 2] = ["1.6.1.120", "1.7.1.116"];

/// What TensorRT-RTX 1.6 and 1.7 build for when it is named (seen by trying).
pub const BUILDABLE: [ComputeCapability; 6] = [
    ComputeCapability { major: 7, minor: 5 },
    ComputeCapability { major: 8, minor: 0 },
    ComputeCapability { major: 8, minor: 6 },
    ComputeCapability { major: 8, minor: 9 },
    ComputeCapability { major: 12, minor: 0 },
    ComputeCapability { major: 12, minor: 1 },
];

/// A package on the Python package index, pinned to one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Name on the index.
    pub package: &'static str,
    /// Version on the index, and of the libraries inside.
    pub version: &'static str,
    /// SHA-256 of the file for x86-64 Linux, lower-case hex.
    pub sha256: &'static str,
    /// The folder inside that holds the libraries.
    pub libraries: &'static str,
}

/// What `sdtrtctl runtime install` fetches: about 90 MB, no account needed.
pub const PINNED: Wheel = Wheel {
    package: "tensorrt-rtx-cu12-libs",
    version: "1.7.1.116",
    sha256: "68c2615fef1556e7721235682f460f3d78ab89df320a3f34a416367b144817a8",
    libraries: "tensorrt_rtx_libs",
};

/// Where the libraries of one version lie in a data folder.
pub fn installed_dir(data_dir: &Path, version: &str) -> PathBuf {
    data_dir.join("runtime").join(version)
}
