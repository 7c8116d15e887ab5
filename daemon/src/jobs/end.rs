//! How a worker ended, and who is to blame.

use std::{io, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus};

use rustix::process::Signal;
use tokio::{
    process::Child,
    time::{Duration, sleep, timeout},
};

use super::{Failure, logs};

/// Returns once a worker has ended but its output stays open.
pub(super) async fn ended_before(child: &mut Child, grace: Duration) {
    let _ = child.wait().await;
    sleep(grace).await;
}

/// How a worker ended after its last output.
pub(super) enum WorkerEnd {
    ByItself(ExitStatus),
    /// It went on, and was killed.
    Killed,
    Unknown(io::Error),
}

/// Waits for a worker's end, and enforces it after a while.
pub(super) async fn end(child: &mut Child, grace: Duration) -> WorkerEnd {
    match timeout(grace, child.wait()).await {
        Ok(Ok(status)) => WorkerEnd::ByItself(status),
        Ok(Err(error)) => WorkerEnd::Unknown(error),
        Err(_) => {
            // A process that hangs in a driver does not even end by this.
            let _ = timeout(grace, child.kill()).await;
            WorkerEnd::Killed
        }
    }
}

impl WorkerEnd {
    /// Returns what its end says about the job.
    pub(super) fn failure(&self, log: &Path) -> Failure {
        const KILLED: [i32; 2] = [Signal::KILL.as_raw(), Signal::BUS.as_raw()];
        let reason = self.describe(log);
        let is_killed = matches!(self, Self::ByItself(status)
            if status.signal().is_some_and(|signal| KILLED.contains(&signal)));
        if is_killed || logs::tells_of_memory(log) {
            Failure::Held(reason)
        } else {
            Failure::Died(reason)
        }
    }

    pub(super) fn describe(&self, log: &Path) -> String {
        let log = log.display();
        let status = match self {
            Self::ByItself(status) => status,
            Self::Killed => {
                return format!(
                    "the worker closed its output and did not end, so it was killed; its log is {log}"
                );
            }
            Self::Unknown(error) => return format!("nobody knows how the worker ended: {error}"),
        };
        match status.signal() {
            Some(9) => format!(
                "the worker was killed (signal 9), by hand or because memory ran out; its log is {log}"
            ),
            Some(signal) => format!("the worker was ended by signal {signal}; its log is {log}"),
            None => format!("the worker ended early ({status}); its log is {log}"),
        }
    }
}
