use std::{ffi::OsStr, fmt::Write};

use anyhow::{Context, Result};
use libloading::{Library, Symbol};

/// Returns the version that a TensorRT-RTX library reports, such as `1.7.1.116`.
///
/// The four functions have the same C signature in every version; all others depend on the headers.
///
/// # Errors
/// If it can't be loaded or is not TensorRT-RTX.
#[expect(unsafe_code, reason = "loads TensorRT")]
pub(super) fn library_version(library: &OsStr) -> Result<String> {
    let name = library.to_string_lossy();
    // SAFETY: loading runs the library's initialisers, which only register things in TensorRT.
    let library =
        unsafe { Library::new(library) }.with_context(|| format!("cannot load {name}"))?;
    let mut version = String::new();
    for part in ["Major", "Minor", "Patch", "Build"] {
        let symbol = format!("getInferLib{part}Version");
        // SAFETY: declared in NvInferRuntimeBase.h as `int32_t getInferLib…Version() noexcept`.
        let number = unsafe {
            let function: Symbol<'_, unsafe extern "C" fn() -> i32> = library
                .get(symbol.as_bytes())
                .with_context(|| format!("{name} is not TensorRT-RTX: it has no {symbol}"))?;
            function()
        };
        let separator = if version.is_empty() { "" } else { "." };
        write!(version, "{separator}{number}")?;
    }
    // Unloading would run the library's destructors for nothing: the process ends soon.
    std::mem::forget(library);
    Ok(version)
}
