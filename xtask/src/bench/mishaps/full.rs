//! Fills the disk and clears it again while engines are built on it.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use protocol::{Outcome, State, question};
use rustix::{
    fs::{FallocateFlags, fallocate, ftruncate},
    io::Errno,
};

use super::{
    super::{disk::Disk, lab::Lab, table::Row},
    Builds, LOOK, WHILE_WRITING, random, some_of,
};
use crate::{daemon, process};

const TIME: Duration = Duration::from_secs(300);
/// About as many as are built during the measurement.
const CHECKPOINTS: u64 = 24;
/// Enough for the engines, the builds' scratch space and the free space that must remain.
const DISK: u64 = 4 << 30;
/// The longest time that the disk stays full.
const HOLD: Duration = Duration::from_secs(3);
/// Half of the time, up to this many bytes are left free: less than an engine.
const CREVICE: u64 = 64 << 20;
/// The time limit for the remaining builds.
const REST: Duration = Duration::from_secs(600);

pub(in crate::bench) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("full/models")?, lab.dir("full/data")?);
    let Some(disk) = Disk::new(lab.dir("full")?.join("image"), data.clone(), DISK)? else {
        bail!("mounting a disk requires root");
    };
    let mut builds = Builds::start(lab, models, disk.place().to_owned(), CHECKPOINTS, false)?;
    let filler = Filler::new(&data.join("filler"))?;
    let started = Instant::now();
    let (mut fills, mut retried) = (0, 0);
    while started.elapsed() < TIME {
        builds.wait(fills)?;
        let crevice = if random(2) == 0 { 0 } else { random(CREVICE) };
        filler.fill(crevice)?;
        some_of(HOLD);
        fills += 1;
        builds.check(fills)?;
        filler.give_back()?;
        builds.check(fills)?;
        retried += builds.retry_failed()?;
    }
    let meanwhile = builds.published.len();
    process::until("building all engines", REST, LOOK * 100, || {
        retried += builds.retry_failed()?;
        let list = daemon::list(&mut builds.client)?;
        Ok(list.iter().all(|checkpoint| checkpoint.state == State::Ready).then_some(()))
    })?;
    builds.check(fills)?;
    let ended = outcomes(&mut builds)?;
    let built = ended.iter().filter(|outcome| **outcome == Outcome::Built).count();
    ensure!(built == builds.published.len(), "{built} builds of {CHECKPOINTS} engines");
    let abandoned = ended.iter().filter(|outcome| **outcome == Outcome::Abandoned).count();

    builds = builds.restart()?;
    process::until("identifying everything after a restart", REST, LOOK, || {
        let status = daemon::status(&mut builds.client)?;
        ensure!(
            status.building.is_empty() && status.queue.is_empty(),
            "engines were rebuilt needlessly"
        );
        let ready = status.counts.get(&State::Ready).copied().unwrap_or_default();
        Ok((ready as u64 == CHECKPOINTS).then_some(()))
    })?;
    builds.check(fills)?;
    builds.daemon.stop();
    let how = format!(
        "an ext4 in a file, no byte or less than an engine left for up to {} s, one in \
         {WHILE_WRITING} while a plan is written; `verify` and all plans while it is full and after; one \
         daemon all along",
        HOLD.as_secs()
    );
    let again = format!("{abandoned} builds found no space and waited, {retried} needed a `retry`");
    let published = format!("{meanwhile}, finally all {CHECKPOINTS}");
    Ok(vec![
        Row::new("disk full at random points", fills.to_string(), "", how),
        Row::new("… engines published meanwhile, none lost or incomplete", published, "all", again),
        Row::new(
            "… engines built twice",
            "0",
            "0",
            "according to the history, and after a restart",
        ),
    ])
}

fn outcomes(builds: &mut Builds<'_>) -> Result<Vec<Outcome>> {
    let history = builds.client.ask(question::history())?;
    Ok(history.iter().map(|finished| finished.outcome).collect())
}

/// A file that fills the disk.
struct Filler(File);

impl Filler {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    /// Leaves this many bytes free, as nearly as blocks allow.
    fn fill(&self, but: u64) -> Result<()> {
        let mut taken = self.0.metadata()?.len();
        let mut step = 1 << 30;
        while step >= 4096 {
            match fallocate(&self.0, FallocateFlags::empty(), taken, step) {
                Ok(()) => taken += step,
                Err(Errno::NOSPC) => step /= 2,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ftruncate(&self.0, taken.saturating_sub(but))?)
    }

    fn give_back(&self) -> Result<()> {
        Ok(ftruncate(&self.0, 0)?)
    }
}
