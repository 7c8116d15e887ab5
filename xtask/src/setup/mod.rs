//! Downloads what is missing into the user's cache folder, without root.

mod compiler;
mod libclang;
mod runtime;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use config::runtime::{ONNX_RUNTIME, TENSORRT_RTX, onnx_runtime};

use crate::{cargo::Profile, folders, pip};

/// Checks models, and opens them, as strictly as any program.
const ONNX: &str = "onnx==1.23.2";

/// A server of S3 in Python, and what its server needs: a second opinion on the store.
const MOTO: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];

/// What building and testing need besides Rust and a C++ compiler.
pub(crate) struct Kit {
    /// What building needs.
    build: Build,
    /// The library with which tests run graphs.
    onnx_runtime: PathBuf,
    /// The folder of the Python packages with which tests open exported graphs.
    onnx: PathBuf,
    /// The folder of moto; absent if it could not be installed.
    moto: Option<PathBuf>,
    /// The folder of the TensorRT-RTX libraries.
    pub(crate) tensorrt: PathBuf,
}

struct Build {
    /// The folder of libclang, which generates the TensorRT-RTX bindings from the headers.
    libclang: PathBuf,
    /// The compiler's own headers, which libclang lacks.
    headers: Option<String>,
}

/// Installs what is missing. The daemon's libraries are installed by the project's own `sdtrtctl`, which is
/// built with `profile` if needed.
pub(crate) fn all(profile: Profile) -> Result<Kit> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("sdtrt runs only on x86-64 Linux");
    }
    let headers = compiler::headers()?;
    let cache = folders::cache()?;
    let libclang = libclang::install(&cache, &libclang::LIBCLANG)?;
    let build = Build {
        libclang: libclang.parent().context("libclang has no parent folder")?.to_owned(),
        headers,
    };
    runtime::install(&cache, profile, &build.variables())?;
    Ok(Kit {
        build,
        onnx_runtime: onnx_runtime(&cache).context("the tests need ONNX Runtime")?,
        onnx: onnx(&cache)?,
        moto: moto(&cache),
        tensorrt: TENSORRT_RTX.installed_dir(&cache),
    })
}

/// Installs the programs that open exported graphs: onnx, and ONNX Runtime as people use it, from Python.
fn onnx(cache: &Path) -> Result<PathBuf> {
    let runtime = format!("{}=={}", ONNX_RUNTIME.package, ONNX_RUNTIME.version);
    pip::installed(&cache.join("python"), &[ONNX, &runtime])
}

/// Only one test needs it, which says when it is skipped.
fn moto(cache: &Path) -> Option<PathBuf> {
    let installed = pip::installed(&cache.join("python"), &MOTO);
    installed.inspect_err(|error| eprintln!("moto is NOT installed: {error:#}")).ok()
}

impl Build {
    /// The variables that affect cargo's build. They are always the same: a change would rebuild the
    /// bindings.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let libclang = self.libclang.display().to_string();
        let mut variables = vec![("LIBCLANG_PATH", libclang)];
        if let Some(headers) = &self.headers {
            variables.push(("BINDGEN_EXTRA_CLANG_ARGS", format!("-isystem {headers}")));
        }
        variables
    }
}

impl Kit {
    /// The variables that affect cargo's build.
    pub(crate) fn build_variables(&self) -> Vec<(&'static str, String)> {
        self.build.variables()
    }

    /// All variables that the tests need.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.build_variables();
        variables.push(("ORT_DYLIB_PATH", self.onnx_runtime.display().to_string()));
        variables.push(("SDTRT_TEST_ONNX", self.onnx.display().to_string()));
        if let Some(moto) = &self.moto {
            variables.push(("SDTRT_TEST_MOTO", moto.display().to_string()));
        }
        variables.push(("SDTRT_TEST_RUNTIME", self.tensorrt.display().to_string()));
        variables
    }

    /// The same, for a shell.
    pub(crate) fn exports(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let line = |(name, value): (&str, String)| format!("export {name}={}\n", quote(&value));
        self.variables().into_iter().map(line).collect()
    }
}

/// Locks the cache: one set-up at a time. The lock ends with the file, even if this process is killed.
fn lock(cache: &Path) -> Result<File> {
    let path = cache.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_evaluates_the_exports_correctly() {
        let kit = Kit {
            build: Build { libclang: "/it's/here".into(), headers: Some("/usr/include".into()) },
            onnx_runtime: "/ort.so".into(),
            onnx: "/onnx".into(),
            moto: None,
            tensorrt: "/trt".into(),
        };
        let script =
            format!("{}printf %s \"$LIBCLANG_PATH|$BINDGEN_EXTRA_CLANG_ARGS\"", kit.exports());
        let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&shell.stdout), "/it's/here|-isystem /usr/include");
    }
}
