//! All calls of TensorRT.

mod build;
mod engine;

use std::{
    ffi::OsStr,
    sync::{Arc, Mutex},
};

use ::engine::Job;
use anyhow::{Context, Result, anyhow, ensure};
use config::runtime;
use trtx::{LogHandler, Logger, Severity};

pub(super) use build::build;
pub(super) use engine::{Engine, Loaded};

use super::{cuda::OutOfMemory, failure::Trouble, version::library_version};

/// Loads TensorRT and runs `work`. TensorRT's calls only return failure, the cause is in its log: the log's
/// last error is added to the error of `work`.
pub(super) fn with_tensorrt<T>(job: &Job, work: impl FnOnce(&Logger) -> Result<T>) -> Result<T> {
    // Its folder may be away, or half written.
    let trouble = |error| Trouble(format!("{error:#}"));
    load(job).map_err(trouble)?;
    let errors = Errors::default();
    let logger = Logger::new(errors.clone()).map_err(|error| trouble(error.into()))?;
    work(&logger).map_err(|error| match errors.last() {
        _ if error.is::<OutOfMemory>() => error,
        Some(said) if is_about_memory(&said) => OutOfMemory { needed: None, said }.into(),
        Some(said) => anyhow!("{error:#}; TensorRT said: {said}"),
        None => error,
    })
}

/// How CUDA and TensorRT report that memory ran out.
fn is_about_memory(said: &str) -> bool {
    ["out of memory", "OutOfMemory", "OUT_OF_MEMORY"].iter().any(|words| said.contains(words))
}

fn load(job: &Job) -> Result<()> {
    let file = |name: &str| match &job.libraries {
        Some(dir) => dir.join(name).into_os_string(),
        None => name.into(),
    };
    let library = file(runtime::LIBRARY);
    let version = library_version(&library)?;
    ensure!(
        version == job.spec.version,
        "{} was replaced: it is version {version} now, not {}",
        library.display(),
        job.spec.version
    );
    let load = |name: &OsStr| format!("cannot load {}", name.display());
    trtx::dynamically_load_tensorrt(Some(&library)).with_context(|| load(&library))?;
    let parser = file(runtime::ONNX_PARSER);
    trtx::dynamically_load_tensorrt_onnxparser(Some(&parser)).with_context(|| load(&parser))
}

/// Writes TensorRT's log to standard error and keeps its last error.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Option<String>>>);

impl Errors {
    fn last(&self) -> Option<String> {
        self.0.lock().ok()?.clone()
    }
}

impl LogHandler for Errors {
    fn log(&self, severity: Severity, message: &str) {
        if severity > Severity::Info {
            return;
        }
        eprintln!("{severity:?}: {message}");
        if severity <= Severity::Error
            && let Ok(mut last) = self.0.lock()
        {
            *last = Some(message.to_owned());
        }
    }
}
