//! Supervises one worker from its start to its end, whatever it does.

use std::{
    fs, io,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
};

use anyhow::Context;
use checkpoint::Id;
use engine::{Built, Job, Progress, Task};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    task::spawn_blocking,
    time::{Duration, sleep, timeout},
};

use super::{
    Done, Failure,
    end::{end, ended_before},
    output::{Followed, Output},
    worker,
};

/// How long to wait for a worker.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// For its hello, and until it has read its job.
    patience: Duration,
    /// For progress. The longest step took a minute on idle cores; if others use them it can take many times
    /// as long.
    standstill: Duration,
    /// For its end after the last report.
    grace: Duration,
}

const LIMITS: Limits = Limits {
    patience: worker::PATIENCE,
    standstill: Duration::from_secs(3600),
    grace: Duration::from_secs(10),
};

/// More than any log takes.
const LOG_BYTES: u64 = 256 << 20;

/// How often to check a log's length.
const LOOK: Duration = Duration::from_secs(10);

/// Called with a job's progress.
pub type Hear = Box<dyn FnMut(Progress) + Send>;

/// A running job; dropping it abandons the job.
pub type Doing = Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>>;

/// Does jobs. The real one is [`WorkerProcess`].
pub trait Builder: Send + Sync + 'static {
    /// Starts a job.
    fn start(&self, job: Job, hear: Hear) -> Doing;
}

/// The name of a job's log file, beside those of the engine's other jobs.
pub fn log_name(engine: &Id, task: &Task) -> String {
    match task {
        Task::Build => format!("{engine}.log"),
        Task::Validate(_) => format!("{engine}-validation.log"),
        Task::Materialize { .. } => format!("{engine}-materialize.log"),
    }
}

/// Runs a child process, `sdtrt-worker`, for each job.
#[derive(Clone, Debug)]
pub struct WorkerProcess {
    /// The folder of TensorRT's logs, one for each engine and task.
    pub logs: PathBuf,
}

impl Builder for WorkerProcess {
    fn start(&self, job: Job, hear: Hear) -> Doing {
        let log = self.logs.join(log_name(&job.spec.key(), &job.task));
        Box::pin(async move {
            let worker = worker::program()?;
            run(Command::new(worker), &job, &log, LIMITS, hear).await
        })
    }
}

async fn run(
    worker: Command,
    job: &Job,
    log: &Path,
    limits: Limits,
    mut hear: Hear,
) -> Result<Done, Failure> {
    let Limits { patience, standstill, grace } = limits;
    let program = PathBuf::from(worker.as_std().get_program());
    let mut child = start(worker, job, log).map_err(not_run)?;
    let output = child.stdout.take().ok_or_else(|| not_run(io::ErrorKind::BrokenPipe.into()))?;
    let mut output = Output::new(output);
    let hello = timeout(patience, output.line()).await.map_err(|_| silent(&program, patience))?;
    let Some(hello) = hello.map_err(not_run)? else {
        // It has no job yet, so no job is to blame.
        return Err(Failure::Trouble(end(&mut child, grace).await.describe(log)));
    };
    worker::check_hello(&program, &hello.unwrap_or_default())?;
    // Held until the worker has ended: it stops when this closes.
    let handed_over = timeout(patience, hand_over(job, &mut child)).await;
    let _input = handed_over.map_err(|_| deaf(&program, patience))?.map_err(not_run)?;
    let followed = tokio::select! {
        followed = output.follow(&mut hear, standstill) => followed,
        () = log_overflows(log) => Ok(Followed::Flood),
        // Another process may hold its output open.
        () = ended_before(&mut child, grace) => Ok(Followed::Closed),
    };
    let last = match followed.map_err(not_run)? {
        Followed::Ended(last) => *last,
        Followed::Closed => return Err(end(&mut child, grace).await.failure(log)),
        Followed::Flood => {
            return Err(Failure::Died(format!(
                "the worker wrote without end; its log is {}",
                log.display()
            )));
        }
        Followed::Standstill => {
            return Err(Failure::Died(format!(
                "the worker got no further for {} min; its log is {}",
                standstill.as_secs() / 60,
                log.display()
            )));
        }
    };
    // Its last report counts, however it ends.
    end(&mut child, grace).await;
    let done = Done::try_from(last)?;
    if let Done::Built(built) = &done {
        check_plan(job, built.clone()).await?;
    }
    Ok(done)
}
/// No processes, file descriptors or memory left: that is not the job's fault.
fn not_run(error: io::Error) -> Failure {
    Failure::Trouble(format!("the worker can't be run: {error}"))
}

fn deaf(program: &Path, patience: Duration) -> Failure {
    let (program, seconds) = (program.display(), patience.as_secs());
    Failure::Trouble(format!("{program} did not take its job within {seconds} s"))
}

fn silent(program: &Path, patience: Duration) -> Failure {
    let (program, seconds) = (program.display(), patience.as_secs());
    Failure::Trouble(format!("{program} did not report its version within {seconds} s"))
}

fn start(mut worker: Command, job: &Job, log: &Path) -> io::Result<Child> {
    if let Some(logs) = log.parent() {
        fs::create_dir_all(logs)?;
    }
    // Hides the other GPUs from CUDA.
    let gpu = job.gpu.iter().map(|uuid| ("CUDA_VISIBLE_DEVICES", uuid));
    worker
        .envs(gpu)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log)?)
        .kill_on_drop(true)
        .spawn()
}

async fn hand_over(job: &Job, child: &mut Child) -> io::Result<ChildStdin> {
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    match input.write_all(&line).await {
        // It has ended already; its exit status says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(input)
}

/// Returns once a log is longer than any should be.
async fn log_overflows(log: &Path) {
    while fs::metadata(log).is_ok_and(|log| log.len() <= LOG_BYTES) {
        sleep(LOOK).await;
    }
    // A deleted log takes no space.
    if !log.exists() {
        std::future::pending::<()>().await;
    }
}

/// Checks that the plan exists and matches the worker's report, and syncs it.
async fn check_plan(job: &Job, built: Built) -> Result<(), Failure> {
    let plan = job.plan();
    let cannot = format!("cannot read the plan that the worker left, {}", plan.display());
    let checked = spawn_blocking(move || built.check(&plan)).await;
    let checked = checked.map_err(io::Error::other).and_then(|checked| checked).context(cannot)?;
    match checked {
        None => Ok(()),
        Some(problem) => {
            Err(Failure::Died(format!("{problem}, which the worker says that it wrote")))
        }
    }
}

#[cfg(test)]
mod tests;
