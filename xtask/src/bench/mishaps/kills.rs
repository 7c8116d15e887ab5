//! kill -9 of the daemon and of its worker, and other content under known names, again and again while engines are
//! built with weights inside.

use std::fs;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process};

use super::{
    super::{lab::Lab, table::Row},
    Builds, WHILE_WRITING,
    exchanges::Contents,
    random,
};
use crate::daemon::Daemon;

/// More than are built meanwhile.
const CHECKPOINTS: u64 = 40;
/// So often it is counted what is wrong, which takes seconds.
const COUNT: u64 = 10;

pub(in crate::bench) fn run(lab: &Lab, kills: u64) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("kills/models")?, lab.dir("kills/data")?);
    let mut builds = Builds::start(lab, models.clone(), data, CHECKPOINTS, true)?;
    let mut contents = Contents::new(lab, &models)?;
    let mut daemons = 0;
    for number in 0..kills {
        builds.wait(number)?;
        contents.exchange(&models)?;
        if random(2) == 0 {
            builds = builds.kill()?;
            daemons += 1;
        } else {
            kill_worker(&builds.daemon);
        }
        contents.exchange(&models)?;
        builds.retry_failed()?;
        builds.check(number + 1)?;
        if (number + 1).is_multiple_of(COUNT) {
            contents.count_wrong(&mut builds)?;
        }
    }
    let how = format!(
        "{daemons} times the daemon, otherwise the worker, one in {WHILE_WRITING} while a plan is \
         written; after each, `verify` and a check of all earlier plans"
    );
    let exchanged = "written over with the times put back, replaced by a rename, two exchanged: before \
                     and after each kill";
    Ok(vec![
        Row::new("kill -9 at random points", kills.to_string(), "200", how),
        Row::new(
            "… engines published meanwhile, none lost or incomplete",
            builds.published.len().to_string(),
            "all",
            "",
        ),
        Row::new("… files given another content", contents.exchanges.to_string(), "400", exchanged),
        Row::new("… listed under a wrong id after 5 s", contents.wrong_ids.to_string(), "0", ""),
        Row::new(
            "… engines with other weights inside",
            contents.wrong_engines.to_string(),
            "0",
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
