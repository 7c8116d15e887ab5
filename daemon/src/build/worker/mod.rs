//! The process that TensorRT lives in: reads one job, builds it, reports, ends.

mod confinement;
mod model;
mod priority;
mod progress;
mod tensorrt;
mod version;

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    process, thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use checkpoint::{Checkpoint, Id};
use procfs::process::Process;

pub use version::library_version;

use super::{Built, Job, Phase, Progress, Report, Task};
use crate::watch::Stamp;

/// Plans are written in pieces of this many bytes, so that progress shows.
const PIECE: usize = 64 << 20;

/// Reads a [`Job`] from standard input, builds it, and writes [`Report`]s to standard output.
///
/// # Errors
/// When there is no job to read or nobody to report to. A job that can't be built is a report.
pub fn main() -> Result<()> {
    confinement::confine();
    priority::lower();
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("not a job on standard input")?;
    thread::spawn(move || stop_with_the_daemon(input));

    let done = match &job.task {
        Task::Build => build(&job),
        Task::Try(_) | Task::Materialize { .. } => Err(anyhow!("sdtrtd can't do that yet")),
    };
    let last = done.unwrap_or_else(|error| Report::Failed(format!("{error:#}")));
    report(&last)
}

/// The daemon holds the other end open for as long as it lives and wants the job.
fn stop_with_the_daemon(mut input: impl Read) {
    let _ = io::copy(&mut input, &mut io::sink());
    eprintln!("sdtrtd is gone or no longer wants this engine; stopping");
    process::exit(1);
}

fn report(report: &Report) -> Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.flush().context("nobody reads the reports")
}

/// Progress is a courtesy: who does not read it loses nothing.
fn at(phase: Phase, percent: u8) {
    let _ = report(&Report::Progress(Progress { phase, percent }));
}

/// The last report.
fn build(job: &Job) -> Result<Report> {
    at(Phase::Graph, 0);
    let path = job.checkpoint.display();
    let checkpoint = Checkpoint::open(&job.checkpoint).with_context(|| format!("{path}"))?;
    unchanged(job, checkpoint.file())?;
    let model = model::write(job, &checkpoint).with_context(|| format!("{path}"))?;
    at(Phase::Graph, 100);
    let last = tensorrt::build(job, &model, |plan| write_plan(job, plan))?;
    unchanged(job, checkpoint.file())?;
    Ok(last)
}

/// The engine's key says whose weights are inside; they must be those that were identified.
fn unchanged(job: &Job, checkpoint: &fs::File) -> Result<()> {
    let path = job.checkpoint.display();
    let now = checkpoint.metadata().with_context(|| format!("cannot look at {path}"))?;
    ensure!(Stamp::from(&now) == job.stamp, "{path} has changed since it was identified");
    Ok(())
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

fn percent(done: usize, of: usize) -> u8 {
    u8::try_from(done.saturating_mul(100) / of.max(1)).unwrap_or(100).min(100)
}

/// 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = Process::myself().and_then(|process| process.status());
    status.ok().and_then(|status| status.vmhwm).map_or(0, |kib| kib * 1024)
}
