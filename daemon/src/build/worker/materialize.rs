//! A plan with a checkpoint's weights inside.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result};
use checkpoint::Checkpoint;
use trtx::Runtime;

use super::{
    Phase, at, beside,
    cuda::Cuda,
    tensorrt::{Loaded, with_tensorrt},
    weights::{Weights, map},
};
use crate::build::{self, Job, Published, Report};

/// Fills a shared engine with the checkpoint's weights, or copies one that has them, to `output`.
pub(super) fn materialize(
    job: &Job,
    engine: &Published,
    output: &Path,
    checkpoint: &Checkpoint,
) -> Result<Report> {
    at(Phase::Load, 0);
    let plan = engine.plan.display();
    let bytes = map(&fs::File::open(&engine.plan).with_context(|| format!("cannot open {plan}"))?)?;
    if let build::Weights::Baked(_) = job.spec.weights {
        return write(output, &bytes);
    }
    // TensorRT works on the GPU that CUDA has at hand.
    let _cuda = Cuda::new()?;
    with_tensorrt(job, |logger| {
        let mut runtime = Runtime::new(logger).context("no TensorRT runtime")?;
        let mut loaded = Loaded::new(&mut runtime, &bytes).with_context(|| format!("{plan}"))?;
        loaded.fill(&Weights::new(checkpoint, &engine.constants)?, logger)?;
        at(Phase::Write, 0);
        loaded.serialize(|plan| write(output, plan))
    })
}

/// Whole or not at all, and never over what is there.
fn write(output: &Path, plan: &[u8]) -> Result<Report> {
    let cannot = || format!("cannot write {}", output.display());
    let folder = output.parent().with_context(cannot)?;
    let mut aside = beside(folder).with_context(cannot)?;
    aside.write_all(plan).and_then(|()| aside.as_file().sync_all()).with_context(cannot)?;
    aside.persist_noclobber(output).with_context(cannot)?;
    Ok(Report::Materialized(plan.len() as u64))
}
