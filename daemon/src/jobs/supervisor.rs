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
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::worker::{self, WorkerProblem};

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
    /// The GPU has too little free memory; that may change.
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

impl From<WorkerProblem> for Failure {
    fn from(problem: WorkerProblem) -> Self {
        Self::Refused(problem.to_string())
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

/// A child process, `sdtrt-worker`, for each job.
#[derive(Clone, Debug)]
pub struct WorkerProcess {
    /// The folder for what TensorRT says, a file for each engine and task.
    pub logs: PathBuf,
}

impl Builder for WorkerProcess {
    fn start(&self, job: Job, hear: Hear) -> Doing {
        let log = self.logs.join(log_name(&job.spec.key(), &job.task));
        Box::pin(async move {
            let worker = worker::program()?;
            run(Command::new(worker), &job, &log, hear).await
        })
    }
}

async fn run(worker: Command, job: &Job, log: &Path, mut hear: Hear) -> Result<Done, Failure> {
    let program = PathBuf::from(worker.as_std().get_program());
    let mut child = start(worker, job, log).map_err(not_run)?;
    let output = child.stdout.take().ok_or_else(|| not_run(io::ErrorKind::BrokenPipe.into()))?;
    let mut lines = BufReader::new(output).lines();
    let mut last = None;
    // Held until the worker has ended: it stops when this closes.
    let _input;
    let hello = timeout(worker::PATIENCE, lines.next_line()).await.map_err(|_| silent(&program))?;
    if let Some(hello) = hello.map_err(not_run)? {
        worker::check_hello(&program, &hello)?;
        _input = hand_over(job, &mut child).await.map_err(not_run)?;
        last = follow(&mut lines, &mut hear).await.map_err(not_run)?;
    }
    let status = child.wait().await.map_err(not_run)?;
    match last {
        Some(Report::Built(built)) => Ok(Done::Built(built)),
        Some(Report::Validated(findings)) => Ok(Done::Validated(findings)),
        Some(Report::Materialized(bytes)) => Ok(Done::Materialized(bytes)),
        Some(Report::Failed(reason)) => Err(Failure::Refused(reason)),
        Some(Report::Unfit(reason)) => Err(Failure::Unfit(reason)),
        Some(Report::DiskFull(reason)) => Err(Failure::DiskFull(reason)),
        Some(Report::OutOfMemory { needed, free }) => Err(Failure::OutOfMemory { needed, free }),
        Some(Report::Progress(_)) | None => Err(Failure::Died(describe(status, log))),
    }
}

fn not_run(error: io::Error) -> Failure {
    Failure::Died(format!("the worker can't be run: {error}"))
}

fn silent(program: &Path) -> Failure {
    let (program, seconds) = (program.display(), worker::PATIENCE.as_secs());
    Failure::Died(format!("{program} did not report its version within {seconds} s"))
}

fn start(mut worker: Command, job: &Job, log: &Path) -> io::Result<Child> {
    if let Some(logs) = log.parent() {
        fs::create_dir_all(logs)?;
    }
    // CUDA itself is to know no other.
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
        // It is gone already; how it ended says why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other?,
    }
    Ok(input)
}

async fn follow(
    lines: &mut Lines<BufReader<ChildStdout>>,
    hear: &mut Hear,
) -> io::Result<Option<Report>> {
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
    match needed.filter(|needed| *needed > free) {
        Some(needed) => {
            format!("not enough GPU memory: {} needed, {} free", size(needed), size(free))
        }
        None => format!("not enough GPU memory: {} free, and more needed", size(free)),
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
    use engine::{EngineSpec, FLAVOUR, Hello, Phase, Source, Weights, samples};
    use unet::Precision;

    use super::*;

    /// What a shell script in the worker's place makes of a job, and how far it was heard to be.
    async fn run_script(script: &str) -> (Result<Done, Failure>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let job = Job {
            task: Task::Build,
            spec: EngineSpec {
                weights: Weights::Shared(samples::signature()),
                architecture: samples::sd1(),
                recipe: 1,
                flavour: FLAVOUR.to_owned(),
                version: "1.7.1.116".to_owned(),
                compute_capabilities: Vec::new(),
                precision: Precision::Fp16,
                profiles: Vec::new(),
            },
            source: Source::Signature { parameters: Vec::new() },
            libraries: None,
            folder: folder.path().to_owned(),
            gpu: None,
        };
        let mut worker = Command::new("sh");
        worker.args(["-c", script]);
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let hear: Hear = Box::new(move |now: Progress| heard.send(now.percent).unwrap());
        let done = run(worker, &job, &folder.path().join("logs/log"), hear).await;
        let mut percents = Vec::new();
        while let Some(percent) = hears.recv().await {
            percents.push(percent);
        }
        (done, percents)
    }

    fn line(message: &impl serde::Serialize) -> String {
        format!("echo '{}'\n", serde_json::to_string(message).unwrap())
    }

    #[tokio::test]
    async fn a_worker_of_this_release_gets_the_job_once_it_has_said_so() {
        let half = Progress { phase: Phase::Build, percent: 50 };
        let script = [
            line(&Hello::own()),
            "read -r job\necho \"$job\" | grep -q '\"task\":\"build\"' || exit 1\n".to_owned(),
            "echo what TensorRT prints\n".to_owned(),
            line(&Report::Progress(half)),
            line(&Report::Materialized(7)),
        ];
        assert_eq!(run_script(&script.concat()).await, (Ok(Done::Materialized(7)), vec![50]));
    }

    #[tokio::test]
    async fn a_worker_of_another_release_gets_no_job_and_both_versions_are_told() {
        let other = Hello { version: "99.0.0".to_owned(), ..Hello::own() };
        // It would do any job that it were handed.
        let script = line(&other) + "read -r job && " + &line(&Report::Materialized(7));
        let (Err(Failure::Refused(why)), _) = run_script(&script).await else { panic!("done") };
        assert!(why.contains("99.0.0") && why.contains(&Hello::own().version), "{why}");
    }

    /// A paused clock runs on by itself while nothing else happens.
    #[tokio::test(start_paused = true)]
    async fn a_worker_that_says_nothing_is_not_waited_for() {
        // Until its input closes, that is until it is given up.
        let (Err(Failure::Died(why)), _) = run_script("read -r job").await else { panic!("done") };
        assert!(why.contains("within 60 s"), "{why}");
    }

    #[tokio::test]
    async fn a_worker_that_ends_before_it_says_what_it_is_has_died() {
        let (Err(Failure::Died(why)), _) = run_script("exit 127").await else { panic!("done") };
        assert!(why.contains("127") && why.contains("logs/log"), "{why}");
    }

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
            (Some(5_300_000_000), "5.3 GB needed, 3.0 GB free"),
            (None, "3.0 GB free, and more needed"),
            (Some(2), "3.0 GB free, and more needed"),
        ] {
            let failure = Failure::OutOfMemory { needed, free: 3_000_000_000 };
            assert_eq!(failure.to_string(), format!("not enough GPU memory: {said}"));
        }
    }
}
