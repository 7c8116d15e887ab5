//! Moves many checkpoints at once, and unmounts and remounts a disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use config::units::measured_time;
use protocol::{Checkpoint, Client, EntryKey, Id, State, question};

use super::super::{
    disk::Disk,
    lab::Lab,
    opens::Opens,
    small::{self, Known},
    table::Row,
};
use crate::{
    cargo::{self, Profile},
    daemon, process,
};

const MOVED: usize = 1000;
const DISK: u64 = 256 << 20;
const LIMIT: Duration = Duration::from_secs(60);

/// What no move may change.
struct Followed {
    client: Client,
    engines: BTreeMap<EntryKey, Vec<Id>>,
}

pub(super) fn run(lab: &Lab, tree: &Known) -> Result<Vec<Row>> {
    let disk = Disk::new(lab.dir("scale/disk")?.join("image"), tree.models.join("disk"), DISK)?;
    if let Some(disk) = &disk {
        for number in 0..MOVED {
            small::write(disk.place(), super::COUNT + number)?;
        }
    }
    attach(lab, tree)?;
    let mut daemon = tree.daemon_with(lab, &lab.kit.tensorrt, Some(0.1))?;
    let mut client = daemon.ready(&tree.data)?;
    client.ask(question::pause(None))?;
    let all = super::COUNT + disk.as_ref().map_or(0, |_| MOVED);
    // Before TensorRT is found, which may come after the checkpoints, nothing would be queued.
    until(&mut client, "waiting for every checkpoint to have its engine", |list| {
        let ready = |c: &&Checkpoint| c.state == State::Ready && c.reason.is_none();
        list.iter().filter(ready).count() == all
    })?;
    let mut followed = Followed::new(client)?;
    let mut rows = Vec::new();

    let opens = Opens::of(tree.folders.iter().map(PathBuf::as_path))?;
    let renamed = |folder: &Path, number| folder.join(format!("renamed {number}.safetensors"));
    let time = followed.after(MOVED, "renamed", || {
        for number in 0..MOVED {
            let folder = &tree.folders[number % tree.folders.len()];
            let old = folder.join(format!("small {number}.safetensors"));
            fs::rename(old, renamed(folder, number))?;
        }
        Ok(())
    })?;
    let opened = opens.count()?;
    rows.push(moved_row(&format!("{MOVED} renames in a burst"), time, opened));

    let opens = Opens::of(tree.folders.iter().map(PathBuf::as_path))?;
    let shelf = tree.folders[0].parent().unwrap_or(&tree.models).to_owned();
    let time = followed.after(MOVED, "/shelf that moved/", || {
        Ok(fs::rename(&shelf, tree.models.join("shelf that moved"))?)
    })?;
    let opened = opens.count()?;
    rows.push(moved_row(&format!("a folder of {MOVED} moved"), time, opened));
    fs::rename(tree.models.join("shelf that moved"), &shelf)?;

    match disk {
        Some(disk) => {
            let before = disk.last_reads()?;
            disk.unmount()?;
            until(&mut followed.client, "waiting for the disk to be away", |list| {
                list.iter().all(|c| c.locations.iter().all(|location| !location.contains("/disk/")))
            })?;
            let time = followed.after(MOVED, "/disk/", || disk.mount())?;
            let read = before.iter().zip(disk.last_reads()?).filter(|(old, new)| *old != new);
            let what = format!("a disk of {MOVED} (ext4, loop) unmounted and mounted again");
            rows.push(moved_row(&what, time, read.count()));
        }
        None => eprintln!("skipped: mounting a disk requires root"),
    }
    daemon.stop();
    Ok(rows)
}

impl Followed {
    fn new(mut client: Client) -> Result<Self> {
        ensure!(queue(&mut client)?.is_empty(), "existing engines are queued");
        let engines = engines(&list(&mut client)?);
        Ok(Self { client, engines })
    }

    /// Runs `moving`, and waits until `count` locations contain `name`. Engines must be unchanged, and none
    /// queued.
    fn after(
        &mut self,
        count: usize,
        name: &str,
        moving: impl FnOnce() -> Result<()>,
    ) -> Result<Duration> {
        let started = Instant::now();
        moving()?;
        until(&mut self.client, name, |list| {
            let locations = list.iter().flat_map(|checkpoint| &checkpoint.locations);
            locations.filter(|location| location.contains(name)).count() >= count
        })?;
        let time = started.elapsed();
        ensure!(queue(&mut self.client)?.is_empty(), "{name}: existing engines are queued");
        let engines = engines(&list(&mut self.client)?);
        ensure!(engines == self.engines, "{name}: engines are attached to other checkpoints");
        Ok(time)
    }
}

fn moved_row(what: &str, time: Duration, opened: usize) -> Row {
    let how = "until `list` shows it, with TensorRT; all have an engine, each is still attached to the \
               same one, and nothing is queued";
    let measured = format!("{}, {opened} files opened", measured_time(time));
    Row::new(what, measured, "0 files opened", how)
}

/// Gives each checkpoint an engine, which can't be run but need not be.
fn attach(lab: &Lab, tree: &Known) -> Result<()> {
    let mut build = cargo::command("build", &lab.kit.build_variables());
    process::run(build.args(["--release", "--package", "sdtrtd", "--example", "engines"]))?;
    let mut engines = Command::new(cargo::program(Profile::Release, "examples/engines")?);
    let version = lab.kit.tensorrt.file_name().unwrap_or_default();
    process::run(engines.arg(&tree.models).arg(&tree.data).arg(version))
}

fn until(client: &mut Client, what: &str, reached: impl Fn(&[Checkpoint]) -> bool) -> Result<()> {
    process::until(what, LIMIT, Duration::from_millis(20), || {
        Ok(reached(&list(client)?).then_some(()))
    })
}

fn list(client: &mut Client) -> Result<Vec<Checkpoint>> {
    daemon::list(client)
}

fn queue(client: &mut Client) -> Result<BTreeSet<EntryKey>> {
    let queue = daemon::status(client)?.queue;
    Ok(queue.into_iter().map(|queued| queued.weights_id).collect())
}

fn engines(list: &[Checkpoint]) -> BTreeMap<EntryKey, Vec<Id>> {
    let keys = |c: &Checkpoint| c.engines.iter().map(|engine| engine.key).collect();
    list.iter().map(|checkpoint| (checkpoint.key(), keys(checkpoint))).collect()
}
