//! `sdtrtctl export` of a full-size checkpoint.

use std::{fs, process::Command};

use anyhow::Result;

use super::{
    lab::Lab,
    measure::{cost, median},
    table::Row,
};
use crate::size;

const ROUNDS: usize = 5;

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (checkpoint, output) = (lab.full_size()?, lab.dir("export")?);
    let mut times = Vec::new();
    let mut peak = 0;
    for _ in 0..ROUNDS {
        let mut export = Command::new(&lab.programs.sdtrtctl);
        let cost = cost(export.arg("export").arg(checkpoint).arg("--output").arg(&output))?;
        times.push(cost.time);
        peak = peak.max(cost.peak);
    }
    let onnx = fs::metadata(output.join("unet.onnx"))?.len();
    let file = size::bytes(fs::metadata(checkpoint)?.len());
    let how = format!("`sdtrtctl export`, fp16, median of {ROUNDS}; checkpoint of {file}, cached");
    Ok(vec![
        Row::new("graph of full-size SD 1.5: time", size::seconds(median(times)), "≤ 0.3 s", how),
        Row::new("… resident", size::bytes(peak), "≤ 64 MB", "most of those runs, wait4"),
        Row::new("… size of unet.onnx", size::bytes(onnx), "≤ 4 MB", "weights stay where they are"),
    ])
}
