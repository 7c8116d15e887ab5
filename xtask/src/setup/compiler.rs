//! The C++ compiler that the TensorRT-RTX bindings are compiled with.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

/// Returns the folder of the compiler's own headers (`stddef.h`), if it reports one.
///
/// # Errors
/// If there is no C++ compiler.
pub(super) fn headers() -> Result<Option<String>> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    if ask(&compiler, "--version").is_none() {
        bail!("no working C++ compiler ({compiler}): `sudo apt install g++`");
    }
    let found = ["gcc", "cc"].into_iter().find_map(|name| ask(name, "-print-file-name=include"));
    Ok(found.filter(|path| Path::new(path).is_dir()))
}

fn ask(program: &str, question: &str) -> Option<String> {
    let output = Command::new(program).arg(question).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
