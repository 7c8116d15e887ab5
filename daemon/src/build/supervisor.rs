use std::{
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    pin::Pin,
    process::{ExitStatus, Stdio},
};

use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use super::{Built, Job, Progress, Report};

/// Why there is no engine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The same job would fail again.
    #[error("{0}")]
    Refused(String),
    /// The worker ended without a word, as when something killed it; it may do better next time.
    #[error("{0}")]
    Died(String),
    /// An engine of this architecture can't be shared: these weights can't be replaced in it.
    #[error("{}", unshareable(.0))]
    Unshareable(Vec<String>),
}

/// Hears how a job goes on.
pub type Hear = Box<dyn FnMut(Progress) + Send>;

/// A build under way; dropping it abandons the job.
pub type Building = Pin<Box<dyn Future<Output = Result<Built, Failure>> + Send>>;

/// Builds engines. The real one is [`WorkerProcess`].
pub trait Builder: Send + Sync + 'static {
    /// Builds the plan of `job`.
    fn build(&self, job: Job, hear: Hear) -> Building;
}

/// A child process, `sdtrtd worker`, for each job.
#[derive(Clone, Debug)]
pub struct WorkerProcess {
    /// The folder for what TensorRT says, a file for each engine.
    pub logs: PathBuf,
}

impl Builder for WorkerProcess {
    fn build(&self, job: Job, hear: Hear) -> Building {
        let log = self.logs.join(format!("{}.log", job.spec.key()));
        Box::pin(async move {
            let died = |error| Failure::Died(format!("the worker can't be run: {error}"));
            run(&job, &log, hear).await.map_err(died)?
        })
    }
}

async fn run(job: &Job, log: &Path, mut hear: Hear) -> io::Result<Result<Built, Failure>> {
    if let Some(logs) = log.parent() {
        fs::create_dir_all(logs)?;
    }
    let mut child = Command::new(std::env::current_exe()?)
        .arg("worker")
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
        Some(Report::Built(built)) => Ok(built),
        Some(Report::Failed(reason)) => Err(Failure::Refused(reason)),
        Some(Report::Unshareable(weights)) => Err(Failure::Unshareable(weights)),
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

fn unshareable(weights: &[String]) -> String {
    let some: Vec<_> = weights.iter().take(3).map(String::as_str).collect();
    format!(
        "the engine can't be shared, as TensorRT does not let {} of its weights be replaced ({}…)",
        weights.len(),
        some.join(", ")
    )
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
