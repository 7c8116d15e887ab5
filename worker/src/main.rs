//! `sdtrt-worker`, the process that runs TensorRT: prints its release, reads one job, does it, reports and
//! ends. A crash or a memory leak in it costs that one job, never the daemon.

mod accumulation;
mod build;
mod card;
mod confinement;
mod cuda;
mod failure;
mod faults;
mod inputs;
mod materialize;
mod model;
mod priority;
mod progress;
mod reference;
mod tensorrt;
mod validation;
mod version;
mod weights;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{self, ExitCode},
    thread,
};

use anyhow::{Context, Result, bail};
use checkpoint::{Checkpoint, Stamp};
use clap::Parser;
use engine::{Hello, Job, Phase, Progress, Report, Source, Task, Weights};
use serde::Serialize;
use tempfile::NamedTempFile;

use failure::Changed;
use version::library_version;

/// Does one job for sdtrtd, which starts this program and sends the job to its standard input.
#[derive(Parser)]
#[command(name = "sdtrt-worker", version)]
struct Cli {
    /// Print the version of this TensorRT-RTX library and exit
    #[arg(long, value_name = "FILE")]
    library_version: Option<OsString>,
}

fn main() -> ExitCode {
    let result = match Cli::parse().library_version {
        Some(library) => tell_version(&library),
        None => do_job(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdtrt-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tell_version(library: &OsStr) -> Result<()> {
    print_line(&Hello::own())?;
    println!("{}", library_version(library)?);
    Ok(())
}

/// Reads a [`Job`] from standard input, does it, and writes [`Report`]s to standard output. A job's failure
/// is a report too.
fn do_job() -> Result<()> {
    confinement::confine();
    priority::lower();
    print_line(&Hello::own())?;
    let mut input = BufReader::new(io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("not a job on standard input")?;
    thread::spawn(move || stop_with_the_daemon(input));

    let last = work(&job).unwrap_or_else(|error| failure::report(&job.task, &error));
    report(&last)
}

/// Ends this process when sdtrtd closes standard input, which it keeps open while it wants the job.
fn stop_with_the_daemon(mut input: impl Read) {
    let _ = io::copy(&mut input, &mut io::sink());
    eprintln!("sdtrtd is gone or no longer wants this engine; stopping");
    process::exit(1);
}

fn report(report: &Report) -> Result<()> {
    print_line(report)
}

fn print_line(message: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut output = io::stdout().lock();
    output.write_all(&line)?;
    output.flush().context("cannot write a report to standard output")
}

/// Reports progress. Errors are ignored: the job does not depend on it.
fn at(phase: Phase, percent: u8) {
    let _ = report(&Report::Progress(Progress { phase, percent }));
}

/// Does the job and returns the last report.
fn work(job: &Job) -> Result<Report> {
    let (path, stamp) = match (&job.source, &job.task) {
        (Source::Signature { parameters }, Task::Build) => return build::shared(job, parameters),
        (Source::Signature { .. }, _) => {
            bail!("this job needs a checkpoint, but names none")
        }
        (Source::Checkpoint { path, stamp }, _) => (path, stamp),
    };
    let checkpoint = Checkpoint::open(path).with_context(|| format!("{}", path.display()))?;
    unchanged(path, stamp, checkpoint.file())?;
    let last = match &job.task {
        Task::Build => build::baked(job, &checkpoint),
        Task::Validate(engine) => validation::run(job, engine, &checkpoint),
        Task::Materialize { output } => materialize::materialize(job, output, &checkpoint),
    };
    unchanged(path, stamp, checkpoint.file())?;
    last.or_else(|error| same_weights(job, &checkpoint).and(Err(error)))
}

/// Before a failure counts against weights that are to be inside an engine: whether the file still has them, which
/// its size and times need not tell.
fn same_weights(job: &Job, checkpoint: &Checkpoint) -> Result<()> {
    let Weights::Baked(wanted) = job.spec.weights else { return Ok(()) };
    match checkpoint.ids() {
        Ok(ids) if ids.unet != wanted => bail!(Changed::weights()),
        // What failed says more.
        _ => Ok(()),
    }
}

/// Fails if the file is no longer the one that was identified: the engine's key says whose weights it has.
fn unchanged(path: &Path, stamp: &Stamp, checkpoint: &fs::File) -> Result<()> {
    let shown = path.display();
    let now =
        checkpoint.metadata().with_context(|| format!("cannot read the metadata of {shown}"))?;
    if !Stamp::at(path, &now).is_same_version(stamp) {
        bail!(Changed(format!("{shown} has changed since it was identified")));
    }
    Ok(())
}

/// Creates a temporary file in `folder`, to be renamed once complete, with the permissions that the umask
/// allows.
fn beside(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

fn percent(done: usize, of: usize) -> u8 {
    u8::try_from(done.saturating_mul(100) / of.max(1)).unwrap_or(100).min(100)
}
