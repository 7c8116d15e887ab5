//! Kills the daemon or its worker (SIGKILL) repeatedly while engines are built.

use std::fs;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    super::{lab::Lab, table::Row},
    Builds, WHILE_WRITING, random,
};
use crate::daemon::Daemon;

const KILLS: u64 = 200;
/// More than are built during the measurement.
const CHECKPOINTS: u64 = 40;

pub(in crate::bench) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("kills/models")?, lab.dir("kills/data")?);
    let mut builds = Builds::start(lab, models, data, CHECKPOINTS)?;
    let mut daemons = 0;
    for number in 0..KILLS {
        builds.wait(number)?;
        if random(2) == 0 {
            builds = builds.kill()?;
            daemons += 1;
        } else {
            kill_worker(&builds.daemon);
        }
        builds.retry_failed()?;
        builds.check(number + 1)?;
    }
    let how = format!(
        "{daemons} times the daemon, otherwise the worker, one in {WHILE_WRITING} while a plan is \
         written; after each, `verify` and a check of all earlier plans"
    );
    Ok(vec![
        Row::new("kill -9 at random points", KILLS.to_string(), "200", how),
        Row::new(
            "… engines published meanwhile, none lost or incomplete",
            builds.published.len().to_string(),
            "all",
            "",
        ),
    ])
}

fn kill_worker(daemon: &Daemon) {
    let pid = daemon.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for worker in children.unwrap_or_default().split_whitespace() {
        if let Some(worker) = worker.parse().ok().and_then(Pid::from_raw) {
            // It may have ended by itself meanwhile.
            let _ = kill_process(worker, Signal::KILL);
        }
    }
}
