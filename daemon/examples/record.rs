//! Records the idle policy's samples of this machine, twice a second, for `tests/idle/recorded`: `record
//! SECONDS > TRACE.jsonl`.

use std::{
    env,
    io::{self, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use sdtrtd::{
    gate::{Cpu, Driver, Gpus, Sample},
    memory,
};
use serde::Serialize;

const LOOK: Duration = Duration::from_millis(500);

#[derive(Serialize)]
struct Look {
    /// Seconds since the first sample.
    at: f64,
    #[serde(flatten)]
    sample: Sample,
}

fn main() -> Result<()> {
    let seconds = env::args().nth(1).context("usage: record SECONDS")?;
    let length = Duration::from_secs(seconds.parse().context("whole seconds are wanted")?);
    let (driver, mut cpu) = (Driver::default(), Cpu::default());
    let gpus = driver.list().gpus;
    let first = Instant::now();
    let mut due = first;
    while due <= first + length {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let at = first.elapsed().as_millis();
        let look = Look {
            at: Duration::from_millis(u64::try_from(at)?).as_secs_f64(),
            sample: Sample {
                memory_free: memory::free(),
                cpu: cpu.others_percent(),
                ..Sample::of(driver.read(&gpus).map_err(|problem| problem.to_string()))
            },
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &look)?;
        writeln!(out)?;
        due += LOOK;
    }
    Ok(())
}
