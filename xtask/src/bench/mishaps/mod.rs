//! What may befall the daemon while it builds engines. None of those that were published may be lost or
//! half by it.

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

/// One mishap in so many comes when a plan is written, which is a small part of the time.
const WHILE_WRITING: u64 = 5;
/// The others come within so much time after the last.
const ANY_TIME: Duration = Duration::from_secs(3);
/// Longer than a plan takes to be written and published.
const WRITING: Duration = Duration::from_millis(200);
/// For a plan to be written after all that befell those before it.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// A daemon that builds, and what it has published.
struct Builds<'a> {
    lab: &'a Lab,
    models: PathBuf,
    data: PathBuf,
    daemon: Daemon,
    client: Client,
    published: BTreeMap<PathBuf, u64>,
}

impl<'a> Builds<'a> {
    /// Of so many checkpoints.
    fn start(lab: &'a Lab, models: PathBuf, data: PathBuf, checkpoints: u64) -> Result<Self> {
        for seed in 0..checkpoints {
            let path = models.join(format!("{seed}.safetensors"));
            let mut write = Command::new(&lab.programs.goldens);
            process::run(write.args(["--seed", &seed.to_string(), "sd2"]).arg(path))?;
        }
        let (daemon, client) = run(lab, &models, &data)?;
        Ok(Self { lab, models, data, daemon, client, published: BTreeMap::new() })
    }

    /// The daemon is killed, and started again.
    fn kill(mut self) -> Result<Self> {
        self.daemon.kill()?;
        (self.daemon, self.client) = run(self.lab, &self.models, &self.data)?;
        Ok(self)
    }

    /// The daemon is stopped, and started again.
    fn restart(mut self) -> Result<Self> {
        self.daemon.stop();
        (self.daemon, self.client) = run(self.lab, &self.models, &self.data)?;
        Ok(self)
    }

    /// Until the next mishap is due.
    fn wait(&mut self, number: u64) -> Result<()> {
        let within = if number.is_multiple_of(WHILE_WRITING) {
            let mut is_writing = || {
                let building = daemon::status(&mut self.client).ok()?.building.pop()?;
                ["write", "publish"].contains(&building.phase.as_str()).then_some(())
            };
            // Without one it is any time, too.
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

    /// Nothing that was published before is lost or half; `after` so many mishaps.
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

    /// What failed is tried once more, as a person would have it; how much that was.
    fn retry_failed(&mut self) -> Result<u64> {
        let list = daemon::list(&mut self.client)?;
        let mut retried = 0;
        for failed in list.iter().filter(|checkpoint| checkpoint.state == State::Failed) {
            let path = failed.locations.first().context("a checkpoint lies somewhere")?;
            process::run(self.daemon.ctl(["retry", "--quiet", path]).stdout(Stdio::null()))?;
            retried += 1;
        }
        Ok(retried)
    }
}

fn run(lab: &Lab, models: &Path, data: &Path) -> Result<(Daemon, Client)> {
    let options = Options {
        models,
        data,
        tensorrt: &lab.kit.tensorrt,
        compute_capability: Some("8.9"),
        settle_seconds: Some(0.1),
    };
    let mut daemon = Daemon::start(&lab.programs, &options)?;
    let client = daemon.ready(data)?;
    Ok((daemon, client))
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

/// Sleeps for a part of this time.
fn some_of(time: Duration) {
    thread::sleep(time.mul_f64(random(1000) as f64 / 1000.0));
}

/// Every plan that has a manifest, and its size.
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
