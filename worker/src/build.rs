use std::{
    fs,
    io::{self, Write},
};

use anyhow::{Context, Result, anyhow, bail};
use checkpoint::{Checkpoint, Id};
use engine::{Built, Job, Parameter, Report, Weights};
use procfs::process::Process;

use super::{
    Phase, at,
    failure::Changed,
    model::{self, Model},
    percent,
    tensorrt::{self, with_tensorrt},
};

/// Bytes of the plan hashed and written at a time; progress is reported after each piece.
const PIECE: usize = 64 << 20;

/// Builds a shared engine: its weights are inputs. Returns the last report.
pub(super) fn shared(job: &Job, parameters: &[Parameter]) -> Result<Report> {
    at(Phase::Graph, 0);
    let model = model::shared(job, parameters)?;
    build(job, &model)
}

/// Builds a baked engine: it contains the checkpoint's weights. Returns the last report.
pub(super) fn baked(job: &Job, checkpoint: &Checkpoint) -> Result<Report> {
    at(Phase::Graph, 0);
    let model = model::baked(job, checkpoint)?;
    if let (Weights::Baked(wanted), Some(inside)) = (job.spec.weights, model.weights)
        && inside.unet != wanted
    {
        bail!(Changed::weights());
    }
    build(job, &model)
}

fn build(job: &Job, model: &Model) -> Result<Report> {
    at(Phase::Graph, 100);
    let built = with_tensorrt(job, |logger| {
        tensorrt::build(job, model, |plan| write_plan(job, model, plan), logger)
    })?;
    // Outside `with_tensorrt`: errors of writing the plan are not TensorRT's.
    built.map(Report::Built)
}

fn write_plan(job: &Job, model: &Model, plan: &[u8]) -> Result<Built> {
    let accumulation = model.attentions.judge(plan).map_err(|why| anyhow!(why))?;
    let path = job.plan();
    let mut hasher = blake3::Hasher::new();
    let mut write = || -> io::Result<()> {
        let mut file = fs::File::create(&path)?;
        let mut written = 0;
        for piece in plan.chunks(PIECE) {
            at(Phase::Write, percent(written, plan.len()));
            hasher.update(piece);
            file.write_all(piece)?;
            written += piece.len();
        }
        file.sync_all()
    };
    write().with_context(|| {
        format!(
            "cannot write the engine ({} MB) to {}",
            plan.len() / 1_000_000,
            job.folder.display()
        )
    })?;
    at(Phase::Write, 100);
    Ok(Built {
        bytes: plan.len() as u64,
        blake3: Id::from(hasher.finalize()),
        peak_bytes: peak_bytes(),
        binding: model.binding.clone(),
        accumulation,
        weights: model.weights,
    })
}

/// Returns the process's peak memory use in bytes, or 0 if `/proc` does not say.
fn peak_bytes() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).map_or(0, |kib| kib * 1024)
}
