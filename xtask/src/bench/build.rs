//! A full-size engine, from the checkpoint to the published plan.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{lab::Lab, table::Row};
use crate::{
    daemon::{Daemon, Options},
    demo, process, size,
};

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let (models, data) = (lab.dir("build/models")?, lab.dir("build/data")?);
    lab.full_size_at(&models.join("sd15.safetensors"))?;
    let options = Options {
        models: &models,
        data: &data,
        tensorrt: &lab.kit.tensorrt,
        // One GPU generation, as the graph of torch.onnx was built for.
        compute_capability: Some("8.9"),
        settle_seconds: None,
    };
    let mut daemon = Daemon::start(&lab.programs, &options)?;
    let mut client = daemon.ready(&data)?;
    demo::until_ready(&mut client)?;
    process::run(daemon.ctl(["verify"]).stdout(std::process::Stdio::null()))?;
    daemon.stop();
    let manifest = manifest(&data.join("engines"))?;
    let number = |name: &str| manifest[name].as_u64().with_context(|| format!("no {name}"));
    let time = manifest["build_seconds"].as_f64().context("no build_seconds")?;
    // Megabytes of page cache go before another measurement.
    fs::remove_dir_all(&data)?;
    let how = "from the manifest: graph, parse, build and write, for 8.9 only. The figures of a graph \
               from torch.onnx were noted once on 2 cores, parsing (3–11 s) left out of the time";
    Ok(vec![
        Row::new(
            "full-size engine: time",
            size::seconds(Duration::from_secs_f64(time)),
            "(torch.onnx: 27–36 s)",
            how,
        ),
        Row::new(
            "… peak memory of the worker",
            size::bytes(number("peak_bytes")?),
            "(torch.onnx: 5.8 GB)",
            "from the manifest",
        ),
        Row::new("… size", size::bytes(number("bytes")?), "(torch.onnx: 1.74 GB)", "verified"),
    ])
}

/// The one manifest.
fn manifest(engines: &Path) -> Result<Value> {
    let entries = fs::read_dir(engines)?.flatten().map(|entry| entry.path());
    let path = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .min()
        .context("there is no manifest")?;
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
