//! Measures the time from renaming a known full-size checkpoint until `sdtrtctl list` shows it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use config::units::{measured_size, measured_time};
use protocol::Checkpoint;

use super::{
    lab::Lab,
    measure::{bytes_read, median},
    opens::Opens,
    table::Row,
};
use crate::{
    daemon::{Daemon, Options},
    folders, process,
};

/// Odd and even rounds use different folders.
const ROUNDS: usize = 5;

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("rename/models")?, lab.dir("rename/data")?);
    let dirs = ["one", "other"].map(|name| models.join(name));
    for dir in &dirs {
        folders::make(dir)?;
    }
    let place = |round: usize| dirs[round % 2].join(format!("name {round}.safetensors"));
    // Not a hard link: what has a name that nobody watches is compared after a rename.
    let full_size = lab.full_size("sd15")?;
    fs::rename(&full_size, place(0))?;
    let options = Options {
        models: &models,
        data: &data,
        tensorrt: &lab.dir("rename/no-tensorrt")?,
        compute_capability: None,
        settle_seconds: None,
        baked: false,
        webui_url: None,
        hurried: false,
    };
    let mut daemon = Daemon::start(&lab.programs, &options)?;
    daemon.ready(&data)?;
    until_listed(&daemon, &place(0))?;
    // Lets the daemon finish what it read at the start.
    process::sleep(Duration::from_secs(3))?;

    let opens = Opens::of(dirs.iter().map(PathBuf::as_path))?;
    let before = bytes_read(daemon.pid())?;
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        let started = Instant::now();
        fs::rename(place(round - 1), place(round))?;
        until_listed(&daemon, &place(round))?;
        times.push(started.elapsed());
        // The daemon looks again after each rename; waiting for that keeps rounds independent.
        process::sleep(Duration::from_millis(1500))?;
    }
    let read = bytes_read(daemon.pid())? - before;
    let opened = opens.count()?;
    daemon.stop();
    fs::rename(place(ROUNDS), full_size)?;
    let how = format!(
        "from a rename into another folder under another name until `sdtrtctl list` shows it, median \
         of {ROUNDS}"
    );
    Ok(vec![
        Row::new(
            "rename of a known full-size checkpoint",
            measured_time(median(times)),
            "≤ 0.5 s",
            how,
        ),
        Row::new(
            "… files opened meanwhile",
            opened.to_string(),
            "0: no byte read",
            format!(
                "inotify on both folders, all rounds; the daemon read {} in total, from its clients \
                 and /proc",
                measured_size(read)
            ),
        ),
    ])
}

fn until_listed(daemon: &Daemon, path: &Path) -> Result<()> {
    let what = format!("waiting for {} to be listed", path.display());
    process::until(&what, LIMIT, Duration::from_millis(5), || {
        let list = process::output(&mut daemon.ctl(["list", "--json"]))?;
        let list: Vec<Checkpoint> = serde_json::from_str(&list)?;
        let known = |checkpoint: &Checkpoint| {
            checkpoint.weights_id.is_some()
                && checkpoint.locations.iter().any(|location| Path::new(location) == path)
        };
        Ok(list.iter().any(known).then_some(()))
    })
}
