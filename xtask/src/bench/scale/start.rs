//! Compares a start without a cache with b3sum, which reads every file too, and a start with a full cache
//! with find, which also stats every file.

use std::{fs, path::PathBuf, process::Command, time::Duration, time::Instant};

use anyhow::Result;
use config::units::{measured_size, measured_time};

use super::super::{
    b3sum,
    lab::Lab,
    measure::{Cost, cost, median, peak},
    small::Known,
    table::Row,
};
use crate::folders;

const ROUNDS: usize = 5;

/// The shortest that the daemon accepts: waiting for files to settle is not work.
const SETTLE: f64 = 0.01;

pub(super) fn run(lab: &Lab, tree: &Known) -> Result<Vec<Row>> {
    let b3sum = b3sum::install()?;
    let files = files(tree)?;
    let find = || {
        let mut find = Command::new("find");
        cost(find.arg(&tree.models).args(["-name", "*.safetensors", "-printf", "%s %T@ %p\\n"]))
    };
    let sum = || {
        let threads = format!("--num-threads={}", Lab::threads());
        cost(Command::new(&b3sum).arg(threads).args(&files))
    };
    // A warm-up: programs and files come from the disk.
    find()?;
    sum()?;
    unknown(lab, tree)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([sum()?, unknown(lab, tree)?, find()?, known(lab, tree)?]);
    }
    let row = |what: &str, ours: usize, other: &str, theirs: usize, wanted: &'static str| {
        let middle = |which: usize| median(rounds.iter().map(|round| round[which].time).collect());
        let most = |which: usize| rounds.iter().map(|round| round[which].peak).max().unwrap_or(0);
        let measured = format!(
            "{:.1} × ({} against {})",
            middle(ours).as_secs_f64() / middle(theirs).as_secs_f64(),
            measured_time(middle(ours)),
            measured_time(middle(theirs))
        );
        let how = format!(
            "until `status` counts all as known, compared with {other}, alternating, medians of {ROUNDS}; {} of \
             memory against {}",
            measured_size(most(ours)),
            measured_size(most(theirs))
        );
        Row::new(format!("start with {} checkpoints{what}", super::COUNT), measured, wanted, how)
    };
    let hashing = format!("b3sum {}", b3sum::VERSION);
    Ok(vec![
        row(", none known", 1, &hashing, 0, "≤ 1.3 ×"),
        row(", all known", 3, "find -printf '%s %T@ %p'", 2, "≤ 3 ×"),
    ])
}

fn files(tree: &Known) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in &tree.folders {
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    Ok(files)
}

fn unknown(lab: &Lab, tree: &Known) -> Result<Cost> {
    fs::remove_dir_all(&tree.data)?;
    folders::make(&tree.data)?;
    known(lab, tree)
}

fn known(lab: &Lab, tree: &Known) -> Result<Cost> {
    let started = Instant::now();
    let mut daemon = tree.daemon(lab, Some(SETTLE))?;
    tree.ready(&mut daemon)?;
    let time: Duration = started.elapsed();
    let peak = peak(daemon.pid())?;
    daemon.stop();
    Ok(Cost { time, peak })
}
