//! Measures the idle daemon.

use std::time::{Duration, Instant};

use anyhow::Result;
use config::units::measured_size;

use super::{
    lab::Lab,
    measure::{cpu_time, resident},
    small::COUNT,
    table::Row,
};
use crate::process;

/// Time for the work that remains after the start.
const REST: Duration = Duration::from_secs(5);

const WATCHED: Duration = Duration::from_secs(30);

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let known = lab.small()?;
    let mut daemon = known.daemon(lab, None)?;
    known.ready(&mut daemon)?;
    process::sleep(REST)?;
    let (started, before) = (Instant::now(), cpu_time(daemon.pid())?);
    process::sleep(WATCHED)?;
    let used = cpu_time(daemon.pid())?.saturating_sub(before);
    let share = used.as_secs_f64() / started.elapsed().as_secs_f64() * 100.0;
    let held = resident(daemon.pid())?;
    daemon.stop();
    let how = format!("VmRSS, {COUNT} known small checkpoints");
    let cpu = format!("CPU time over {} s, resolution 0.01 s, same daemon", WATCHED.as_secs());
    Ok(vec![
        Row::new("idle daemon: resident", measured_size(held), "≤ 30 MB", how),
        Row::new("… CPU use of one core", format!("{share:.2} %"), "≤ 0.1 %", cpu),
    ])
}
