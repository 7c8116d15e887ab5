use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::{ExitStatus, Stdio},
};

use checkpoint::Id;
use config::ByteSize;
use engine::{Built, Findings, Job, Progress, Report, Task, is_disk_full};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// What a job came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// The plan is in the job's folder.
    Built(Built),
    /// The engine was run.
    Validated(Findings),
    /// The plan with weights inside is where it was wanted, and has so many bytes.
    Materialized(u64),
}

/// Why a job was not done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The same job would fail again.
    #[error("{0}")]
    Refused(String),
    /// Engines can't compute with this checkpoint's weights; another's may do.
    #[error("{0}")]
    Unfit(String),
    /// The disk had no room for it; it will do once there is.
    #[error("{0}")]
    DiskFull(String),
    /// The worker ended without a word, as when something killed it; it may do better next time.
    #[error("{0}")]
    Died(String),
    /// The GPU's memory does not do; it may once others have left it.
    #[error("{}", out_of_memory(*.needed, *.free))]
    OutOfMemory {
        /// Bytes that it takes at least, where that is known.
        needed: Option<u64>,
        /// Bytes that it could have had.
        free: u64,
    },
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let reason = format!("{error:#}");
        if is_disk_full(&error) { Self::DiskFull(reason) } else { Self::Refused(reason) }
    }
}

/// Hears how a job goes on.
pub type Hear = Box<dyn FnMut(Progress) + Send>;

/// A job under way; dropping it abandons the job.
pub type Doing = Pin<Box<dyn Future<Output = Result<Done, Failure>> + Send>>;

/// Does jobs. The real one is [`WorkerProcess`].
pub trait Builder: Send + Sync + 'static {
    /// Does this one.
    fn start(&self, job: Job, hear: Hear) -> Doing;
}

/// The name of the file that a job's log is in, beside those of the engine's other jobs.
pub fn log_name(engine: &Id, task: &Task) -> String {
    match task {
        Task::Build => format!("{engine}.log"),
        Task::Validate(_) => format!("{engine}-validation.log"),
        Task::Materialize { .. } => format!("{engine}-materialize.log"),
    }
}

/// A child process, `sdtrtd worker`, for each job.
#[derive(Clone, Debug)]
pub struct WorkerProcess {
    /// The folder for what TensorRT says, a file for each engine and task.
    pub logs: PathBuf,
}

impl Builder for WorkerProcess {
    fn start(&self, job: Job, hear: Hear) -> Doing {
        let log = self.logs.join(log_name(&job.spec.key(), &job.task));
        Box::pin(async move {
            let died = |error| Failure::Died(format!("the worker can't be run: {error}"));
            run(&job, &log, hear).await.map_err(died)?
        })
    }
}

async fn run(job: &Job, log: &Path, mut hear: Hear) -> io::Result<Result<Done, Failure>> {
    if let Some(logs) = log.parent() {
        fs::create_dir_all(logs)?;
    }
    // CUDA itself is to know no other.
    let gpu = job.gpu.iter().map(|uuid| ("CUDA_VISIBLE_DEVICES", uuid));
    let mut child = Command::new(std::env::current_exe()?)
        .arg("worker")
        .envs(gpu)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(log)?)
        .kill_on_drop(true)
        .spawn()?;
    // Held until the worker has ended: it stops when this closes.
    let _input = hand_over(job, &mut child).await?;
    let last = follow(&mut child, &mut hear).await?;
    let status = child.wait().await?;
    Ok(match last {
        Some(Report::Built(built)) => Ok(Done::Built(built)),
        Some(Report::Validated(findings)) => Ok(Done::Validated(findings)),
        Some(Report::Materialized(bytes)) => Ok(Done::Materialized(bytes)),
        Some(Report::Failed(reason)) => Err(Failure::Refused(reason)),
        Some(Report::Unfit(reason)) => Err(Failure::Unfit(reason)),
        Some(Report::DiskFull(reason)) => Err(Failure::DiskFull(reason)),
        Some(Report::OutOfMemory { needed, free }) => Err(Failure::OutOfMemory { needed, free }),
        _ => Err(Failure::Died(describe(status, log))),
    })
}

async fn hand_over(job: &Job, child: &mut Child) -> io::Result<tokio::process::ChildStdin> {
    let mut input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    match input.write_all(&line).await {
        // It is gone already; how it ended says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(input)
}

async fn follow(child: &mut Child, hear: &mut Hear) -> io::Result<Option<Report>> {
    let output = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await? {
        // TensorRT itself may print there; only reports count.
        match serde_json::from_str(&line) {
            Ok(Report::Progress(now)) => hear(now),
            Ok(last) => return Ok(Some(last)),
            Err(_) => tracing::debug!("worker: {line}"),
        }
    }
    Ok(None)
}

fn out_of_memory(needed: Option<u64>, free: u64) -> String {
    let size = |bytes| ByteSize::b(bytes).display().si();
    let had = format!("{} of the GPU's memory were free", size(free));
    match needed.filter(|needed| *needed > free) {
        Some(needed) => format!(
            "the GPU's memory does not do: {had}, {} are needed, {} more",
            size(needed),
            size(needed - free)
        ),
        None => format!("the GPU's memory does not do: {had}, and more is needed"),
    }
}

fn describe(status: ExitStatus, log: &Path) -> String {
    let log = log.display();
    match status.signal() {
        Some(9) => format!(
            "the worker was killed (signal 9), by hand or because memory ran out; its log is {log}"
        ),
        Some(signal) => {
            format!("the worker was ended by signal {signal}; its log is {log}")
        }
        None => format!("the worker ended early ({status}); its log is {log}"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let io = |kind| Err::<(), _>(io::Error::from(kind)).context("cannot write the plan");
        for (error, expected) in [
            (io(io::ErrorKind::StorageFull).context("not built"), true),
            (io(io::ErrorKind::QuotaExceeded), true),
            (io(io::ErrorKind::PermissionDenied), false),
            (Err(anyhow!("TensorRT refused the graph")), false),
        ] {
            let failure = Failure::from(error.unwrap_err());
            assert_eq!(matches!(failure, Failure::DiskFull(_)), expected, "{failure}");
        }
    }

    #[test]
    fn the_figure_that_was_lacking_is_told() {
        for (needed, said) in [
            (
                Some(5_300_000_000),
                "3.0 GB of the GPU's memory were free, 5.3 GB are needed, 2.3 GB more",
            ),
            (None, "3.0 GB of the GPU's memory were free, and more is needed"),
            (Some(2), "3.0 GB of the GPU's memory were free, and more is needed"),
        ] {
            let failure = Failure::OutOfMemory { needed, free: 3_000_000_000 };
            assert_eq!(failure.to_string(), format!("the GPU's memory does not do: {said}"));
        }
    }
}
