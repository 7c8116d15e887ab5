//! Compares `sdtrtctl identify` with `b3sum` on the same file, alternating.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;

use super::{
    b3sum,
    lab::Lab,
    measure::{cost, median},
    table::Row,
};

const ROUNDS: usize = 9;

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (b3sum, checkpoint) = (b3sum::install()?, lab.full_size("sd15")?);
    let threads = Lab::threads();
    let ours = || {
        let mut identify = Command::new(&lab.programs.sdtrtctl);
        identify.arg("identify").arg(&checkpoint).env("RAYON_NUM_THREADS", threads.to_string());
        cost(&mut identify)
    };
    let theirs = || {
        let mut sum = Command::new(&b3sum);
        cost(sum.arg(format!("--num-threads={threads}")).arg(&checkpoint))
    };
    // A warm-up: the programs themselves come from the disk.
    ours()?;
    theirs()?;
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        our_times.push(ours()?.time);
        their_times.push(theirs()?.time);
    }
    let (our_time, their_time) = (median(our_times), median(their_times));
    let ratio = their_time.as_secs_f64() / our_time.as_secs_f64();
    let measured = format!(
        "{ratio:.2} × ({} against {})",
        rate(&checkpoint, our_time)?,
        rate(&checkpoint, their_time)?
    );
    let how = format!(
        "`sdtrtctl identify` and b3sum {}, {threads} threads each, file cached, alternating, medians \
         of {ROUNDS}",
        b3sum::VERSION
    );
    Ok(vec![Row::new("identifying, compared with b3sum", measured, "≥ 0.9 ×", how)])
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn rate(file: &Path, time: Duration) -> Result<String> {
    let bytes = fs::metadata(file)?.len();
    Ok(format!("{:.2} GB/s", bytes as f64 / time.as_secs_f64() / 1e9))
}
