//! Measures a start with all checkpoints in the cache.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;

use super::{lab::Lab, measure::median, opens::Opens, small::COUNT, table::Row};
use config::units::measured_time;

const ROUNDS: usize = 3;

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let known = lab.small()?;
    let opens = Opens::of(known.folders.iter().map(PathBuf::as_path))?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let mut daemon = known.daemon(lab, None)?;
        known.ready(&mut daemon)?;
        times.push(started.elapsed());
        daemon.stop();
    }
    let opened = opens.count()?;
    let how = format!(
        "from the start until `status` counts all as known and none as being identified, median of {ROUNDS}"
    );
    let what = format!("restart with {COUNT} known small checkpoints");
    Ok(vec![
        Row::new(what, measured_time(median(times)), "≤ 2 s", how),
        Row::new(
            "… files opened meanwhile",
            opened.to_string(),
            "0",
            "inotify on all folders, all rounds",
        ),
    ])
}
