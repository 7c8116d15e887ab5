use std::{
    fs,
    io::{self, Write},
};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Id};
use procfs::process::Process;

use super::{
    Phase, at, model, percent,
    tensorrt::{self, with_tensorrt},
};
use crate::build::{Built, Job, Report};

/// Plans are written in pieces of this many bytes, so that progress shows.
const PIECE: usize = 64 << 20;

/// Builds the job's engine. Returns the last report.
pub(super) fn build(job: &Job, checkpoint: &Checkpoint) -> Result<Report> {
    at(Phase::Graph, 0);
    let path = job.checkpoint.display();
    let model = model::write(job, checkpoint).with_context(|| format!("{path}"))?;
    at(Phase::Graph, 100);
    with_tensorrt(job, |logger| tensorrt::build(job, &model, |plan| write_plan(job, plan), logger))?
}

fn write_plan(job: &Job, plan: &[u8]) -> Result<Built> {
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
            "cannot write the engine, {} MB, to {} (make room there, then `sdtrtctl retry` the checkpoint)",
            plan.len() / 1_000_000,
            job.folder.display()
        )
    })?;
    at(Phase::Write, 100);
    Ok(Built {
        bytes: plan.len() as u64,
        blake3: Id::from(hasher.finalize()),
        peak_bytes: peak_bytes(),
    })
}

/// 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).map_or(0, |kib| kib * 1024)
}
