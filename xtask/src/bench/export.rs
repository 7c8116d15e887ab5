//! Measures `sdtrtctl export` of full-size checkpoints.

use std::{fs, process::Command};

use anyhow::Result;

use super::{
    lab::Lab,
    measure::{cost, median},
    table::Row,
};
use config::units::{measured_size, measured_time};

const ROUNDS: usize = 5;

/// A kind of checkpoint, with its limits of time, memory and size.
struct Bounds {
    name: &'static str,
    shown: &'static str,
    time: &'static str,
    resident: &'static str,
    onnx: &'static str,
}

const BOUNDS: [Bounds; 2] = [
    Bounds {
        name: "sd15", shown: "SD 1.5", time: "≤ 0.3 s", resident: "≤ 64 MB", onnx: "≤ 4 MB"
    },
    Bounds {
        name: "sdxl", shown: "SDXL", time: "≤ 0.6 s", resident: "≤ 100 MB", onnx: "≤ 4 MB"
    },
];

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let rows: Vec<_> = BOUNDS.iter().map(|bounds| export(lab, bounds)).collect::<Result<_>>()?;
    Ok(rows.into_iter().flatten().collect())
}

fn export(lab: &Lab, bounds: &Bounds) -> Result<[Row; 3]> {
    let checkpoint = lab.full_size(bounds.name)?;
    let output = lab.dir(&format!("export/{}", bounds.name))?;
    let mut times = Vec::new();
    let mut peak = 0;
    for _ in 0..ROUNDS {
        let mut export = Command::new(&lab.programs.sdtrtctl);
        export.arg("export").arg(&checkpoint).arg("--link").arg("--output").arg(&output);
        let cost = cost(&mut export)?;
        times.push(cost.time);
        peak = peak.max(cost.peak);
    }
    let onnx = fs::metadata(output.join("unet.onnx"))?.len();
    let file = measured_size(fs::metadata(&checkpoint)?.len());
    let what = format!("graph of full-size {}: time", bounds.shown);
    let how =
        format!("`sdtrtctl export --link`, fp16, median of {ROUNDS}; checkpoint of {file}, cached");
    Ok([
        Row::new(what, measured_time(median(times)), bounds.time, how),
        Row::new(
            "… resident",
            measured_size(peak),
            bounds.resident,
            "maximum of those runs, wait4",
        ),
        Row::new(
            "… size of unet.onnx",
            measured_size(onnx),
            bounds.onnx,
            "the weights stay in the checkpoint",
        ),
    ])
}
