//! Disturbs the daemon while it builds engines. No published engine may be lost or damaged.

mod exchanges;
pub(super) mod full;
pub(super) mod kills;

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

use super::lab::Lab;
use crate::{
    daemon::{self, Daemon, Options},
    process,
};

/// One disturbance in this many comes while a plan is written, which takes only a small part of the time.
const WHILE_WRITING: u64 = 5;
/// The others come within this time after the last one.
const ANY_TIME: Duration = Duration::from_secs(3);
/// Longer than writing and publishing a plan takes.
const WRITING: Duration = Duration::from_millis(200);
/// The time limit for a plan to be written after the disturbances before it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// A daemon that builds, and the engines it has published.
struct Builds<'a> {
    lab: &'a Lab,
    models: PathBuf,
    data: PathBuf,
    baked: bool,
    daemon: Daemon,
    client: Client,
    published: BTreeMap<PathBuf, u64>,
}

impl<'a> Builds<'a> {
    /// Of so many checkpoints.
    fn start(
        lab: &'a Lab,
        models: PathBuf,
        data: PathBuf,
        checkpoints: u64,
        baked: bool,
    ) -> Result<Self> {
        for seed in 0..checkpoints {
            write(lab, seed, &models.join(format!("{seed}.safetensors")))?;
        }
        let (daemon, client) = run(lab, &models, &data, baked)?;
        Ok(Self { lab, models, data, baked, daemon, client, published: BTreeMap::new() })
    }

    /// Kills the daemon and starts it again.
    fn kill(mut self) -> Result<Self> {
        self.daemon.kill()?;
        (self.daemon, self.client) = run(self.lab, &self.models, &self.data, self.baked)?;
        Ok(self)
    }

    /// Stops the daemon and starts it again.
    fn restart(mut self) -> Result<Self> {
        self.daemon.stop();
        (self.daemon, self.client) = run(self.lab, &self.models, &self.data, self.baked)?;
        Ok(self)
    }

    /// Waits until the next disturbance is due.
    fn wait(&mut self, number: u64) -> Result<()> {
        let within = if number.is_multiple_of(WHILE_WRITING) {
            let mut is_writing = || {
                let building = daemon::status(&mut self.client).ok()?.building.pop()?;
                ["write", "publish"].contains(&building.phase.as_str()).then_some(())
            };
            // If none is written, any time will do.
            let _ = process::until("waiting for a plan to be written", PATIENCE, LOOK, || {
                Ok(is_writing())
            });
            WRITING
        } else {
            ANY_TIME
        };
        some_of(within);
        process::go_on()
    }

    /// Checks that nothing published before was lost or damaged by the `after` disturbances so far.
    fn check(&mut self, after: u64) -> Result<()> {
        let verified = self.daemon.ctl(["verify", "--quiet"]).stdout(Stdio::null()).status()?;
        ensure!(verified.success(), "after {after} mishaps `verify` reports a problem");
        let now = plans(&self.data.join("engines"))?;
        for (plan, bytes) in &self.published {
            ensure!(now.get(plan) == Some(bytes), "{} was lost or changed", plan.display());
        }
        self.published = now;
        Ok(())
    }

    /// Retries what failed, as a user would. Returns how many.
    fn retry_failed(&mut self) -> Result<u64> {
        let list = daemon::list(&mut self.client)?;
        let mut retried = 0;
        for failed in list.iter().filter(|checkpoint| checkpoint.state == State::Failed) {
            let path = failed.locations.first().context("a checkpoint has a location")?;
            process::run(self.daemon.ctl(["retry", "--quiet", path]).stdout(Stdio::null()))?;
            retried += 1;
        }
        Ok(retried)
    }
}

fn run(lab: &Lab, models: &Path, data: &Path, baked: bool) -> Result<(Daemon, Client)> {
    let options = Options {
        models,
        data,
        tensorrt: &lab.kit.tensorrt,
        compute_capability: Some("8.9"),
        settle_seconds: Some(0.1),
        baked,
        webui_url: None,
        hurried: false,
    };
    let mut daemon = Daemon::start(&lab.programs, &options)?;
    let client = daemon.ready(data)?;
    Ok((daemon, client))
}

/// Writes a checkpoint whose weights are drawn from `seed`; all have the same size.
fn write(lab: &Lab, seed: u64, path: &Path) -> Result<()> {
    let mut write = Command::new(&lab.programs.goldens);
    process::run(write.args(["--seed", &seed.to_string(), "sd2"]).arg(path))
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// Sleeps for a random part of this time.
fn some_of(time: Duration) {
    thread::sleep(time.mul_f64(random(1000) as f64 / 1000.0));
}

/// Returns every plan with a manifest, and its size.
fn plans(engines: &Path) -> Result<BTreeMap<PathBuf, u64>> {
    let mut plans = BTreeMap::new();
    for entry in fs::read_dir(engines)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let plan = path.with_extension("engine");
            let size = fs::metadata(&plan)
                .with_context(|| format!("{} is missing", plan.display()))?
                .len();
            plans.insert(plan, size);
        }
    }
    Ok(plans)
}
