//! Many checkpoints that go elsewhere at once, and a disk that goes and returns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use protocol::{Checkpoint, Client, Request};

use super::super::{
    lab::Lab,
    opens::Opens,
    small::{self, Known},
    table::Row,
};
use crate::{daemon, folders, process, size};

const MOVED: usize = 1000;
const LIMIT: Duration = Duration::from_secs(60);

/// What no move may change.
struct Followed {
    client: Client,
    queue: BTreeSet<String>,
    engines: BTreeMap<String, Vec<String>>,
}

pub(super) fn run(lab: &Lab, tree: &Known) -> Result<Vec<Row>> {
    let disk = tree.models.join("disk");
    let away = lab.dir("scale/disk")?;
    folders::make(&disk)?;
    small::write(&away, super::COUNT)?;
    let is_mounted = mount(&away, &disk);
    let mut daemon = tree.daemon_with(lab, &lab.kit.tensorrt, Some(0.1))?;
    let mut client = daemon.ready(&tree.data)?;
    client.ask(&Request::Pause)?;
    let all = super::COUNT + usize::from(is_mounted);
    until(&mut client, "all are known", |list| {
        list.iter().filter(|checkpoint| checkpoint.weights_id.is_some()).count() == all
    })?;
    // Nothing is queued before TensorRT is found, which may come later.
    process::until("all are queued", LIMIT, Duration::from_millis(20), || {
        Ok((queue(&mut client)?.len() == all).then_some(()))
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

    if is_mounted {
        let opens = Opens::of([away.as_path()])?;
        process::run(Command::new("umount").arg(&disk))?;
        until(&mut followed.client, "the disk is away", |list| {
            list.iter().all(|checkpoint| checkpoint.locations.iter().all(|l| !l.contains("/disk/")))
        })?;
        let time = followed.after(1, "/disk/", || {
            ensure!(mount(&away, &disk), "the disk can't be mounted again");
            Ok(())
        })?;
        rows.push(moved_row(
            "a disk (bind mount, same device number) unmounted and mounted again",
            time,
            opens.count()?,
        ));
        process::run(Command::new("umount").arg(&disk))?;
    } else {
        eprintln!("left out: only root may mount a disk");
    }
    daemon.stop();
    Ok(rows)
}

impl Followed {
    fn new(mut client: Client) -> Result<Self> {
        let queue = queue(&mut client)?;
        let engines = engines(&list(&mut client)?);
        Ok(Self { client, queue, engines })
    }

    /// Until `count` locations contain `name` after `moving`; queue and engines must be as before.
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
        ensure!(queue(&mut self.client)? == self.queue, "{name}: the queue has changed");
        let engines = engines(&list(&mut self.client)?);
        ensure!(engines == self.engines, "{name}: engines are attached to others");
        Ok(time)
    }
}

fn moved_row(what: &str, time: Duration, opened: usize) -> Row {
    let how = "until `list` shows it, TensorRT there and paused; ids and queue as before. No engine is \
               published in this tree";
    let measured = format!("{}, {opened} files opened", size::seconds(time));
    Row::new(what, measured, "0 files opened", how)
}

fn until(client: &mut Client, what: &str, reached: impl Fn(&[Checkpoint]) -> bool) -> Result<()> {
    process::until(what, LIMIT, Duration::from_millis(20), || {
        Ok(reached(&list(client)?).then_some(()))
    })
}

fn list(client: &mut Client) -> Result<Vec<Checkpoint>> {
    daemon::list(client)
}

fn queue(client: &mut Client) -> Result<BTreeSet<String>> {
    let queue = daemon::status(client)?.queue;
    Ok(queue.into_iter().map(|queued| queued.weights_id).collect())
}

fn engines(list: &[Checkpoint]) -> BTreeMap<String, Vec<String>> {
    let keys = |c: &Checkpoint| c.engines.iter().map(|engine| engine.key.clone()).collect();
    list.iter().map(|checkpoint| (checkpoint.key().to_owned(), keys(checkpoint))).collect()
}

/// Whether `folder` lies at `place` now, as a disk of its own.
fn mount(folder: &Path, place: &Path) -> bool {
    let mut mount = Command::new("mount");
    mount.arg("--bind").arg(folder).arg(place);
    mount.output().is_ok_and(|output| output.status.success())
}
