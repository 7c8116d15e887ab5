//! kill -9 of the daemon and of its worker, again and again while engines are built.

use std::{
    collections::BTreeMap,
    fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use protocol::{Client, State};
use rustix::process::{Pid, Signal, kill_process};

use super::{lab::Lab, table::Row};
use crate::{
    daemon::{self, Daemon, Options},
    process,
};

const KILLS: u64 = 200;
/// More than are built meanwhile.
const CHECKPOINTS: u64 = 40;
/// One in so many kills comes when a plan is written, which is a small part of the time.
const WHILE_WRITING: u64 = 5;
/// The others come within so much time after the last.
const ANY_TIME: Duration = Duration::from_secs(3);
/// Longer than a plan takes to be written and published.
const WRITING: Duration = Duration::from_millis(200);
/// For a plan to be written after all that was killed before it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("kills/models")?, lab.dir("kills/data")?);
    for seed in 0..CHECKPOINTS {
        let path = models.join(format!("{seed}.safetensors"));
        let mut write = Command::new(&lab.programs.goldens);
        process::run(write.args(["--seed", &seed.to_string(), "sd2"]).arg(path))?;
    }
    let start = || {
        let options = Options {
            models: &models,
            data: &data,
            tensorrt: &lab.kit.tensorrt,
            compute_capability: Some("8.9"),
            settle_seconds: Some(0.1),
        };
        let mut daemon = Daemon::start(&lab.programs, &options)?;
        let client = daemon.ready(&data)?;
        anyhow::Ok((daemon, client))
    };
    let (mut daemon, mut client) = start()?;
    let mut published: BTreeMap<PathBuf, u64> = BTreeMap::new();
    let mut daemons = 0;
    for number in 0..KILLS {
        wait(number, &mut client)?;
        if random(2) == 0 {
            daemon.kill()?;
            daemons += 1;
            (daemon, client) = start()?;
        } else {
            kill_worker(&daemon);
        }
        retry_failed(&daemon, &mut client)?;
        let verified = daemon.ctl(["verify", "--quiet"]).stdout(Stdio::null()).status()?;
        ensure!(verified.success(), "after {} kills `verify` finds something", number + 1);
        let now = plans(&data.join("engines"))?;
        for (plan, bytes) in &published {
            ensure!(now.get(plan) == Some(bytes), "{} is lost or another", plan.display());
        }
        published = now;
    }
    daemon.stop();
    let how = format!(
        "{daemons} of the daemon, the others of the worker, one in {WHILE_WRITING} while a plan is \
         written; after each, `verify` and all plans that were there before"
    );
    Ok(vec![
        Row::new("kill -9 at random points", KILLS.to_string(), "200", how),
        Row::new(
            "… engines published meanwhile, none lost, none half",
            published.len().to_string(),
            "all",
            "",
        ),
    ])
}

/// Until the next kill is due.
fn wait(number: u64, client: &mut Client) -> Result<()> {
    let within = if number.is_multiple_of(WHILE_WRITING) {
        let is_writing = |client: &mut Client| {
            let building = daemon::status(client).ok()?.building.pop()?;
            ["write", "publish"].contains(&building.phase.as_str()).then_some(())
        };
        // Without one it is any time, too.
        let _ = process::until("a plan is written", PATIENCE, LOOK, || Ok(is_writing(client)));
        WRITING
    } else {
        ANY_TIME
    };
    thread::sleep(within.mul_f64(random(1000) as f64 / 1000.0));
    Ok(())
}

/// One whose worker was killed too often waits for this.
fn retry_failed(daemon: &Daemon, client: &mut Client) -> Result<()> {
    let list = daemon::list(client)?;
    for failed in list.iter().filter(|checkpoint| checkpoint.state == State::Failed) {
        let path = failed.locations.first().context("a checkpoint lies somewhere")?;
        process::run(daemon.ctl(["retry", "--quiet", path]).stdout(Stdio::null()))?;
    }
    Ok(())
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
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

/// Every plan that has a manifest, and its size.
fn plans(engines: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut plans = BTreeMap::new();
    for entry in fs::read_dir(engines)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let plan = path.with_extension("engine");
            let size = fs::metadata(&plan).with_context(|| format!("no {}", plan.display()))?.len();
            plans.insert(plan, size);
        }
    }
    Ok(plans)
}
