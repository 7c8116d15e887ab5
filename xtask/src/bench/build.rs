//! Builds engines for full-size checkpoints without a GPU, from the file to the published plans.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use config::units::{measured_size, measured_time};
use serde_json::Value;

use super::{lab::Lab, table::Row};
use crate::{
    daemon::{Daemon, Options},
    demo, process,
};

/// What users report for the web UI's NVIDIA extension, for each checkpoint and preset.
const EXTENSION: &str = "(NVIDIA's extension: 2–15 minutes and 3.4 GB each)";

pub(super) fn run(lab: &Lab) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in ["sd15", "sdxl"] {
        rows.extend(measure(lab, name)?);
    }
    Ok(rows)
}

fn measure(lab: &Lab, name: &str) -> Result<Vec<Row>> {
    let models = lab.dir(&format!("build/{name}/models"))?;
    let data = lab.dir(&format!("build/{name}/data"))?;
    demo::write_full_size(&lab.programs, name, &models.join("checkpoint.safetensors"))?;
    let options = Options {
        models: &models,
        data: &data,
        tensorrt: &lab.kit.tensorrt,
        compute_capability: None,
        settle_seconds: None,
        baked: false,
        webui_url: None,
        hurried: false,
    };
    let mut daemon = Daemon::start(&lab.programs, &options)?;
    let mut client = daemon.ready(&data)?;
    let start = Instant::now();
    demo::until_ready(&mut client)?;
    let ready = start.elapsed();
    demo::until_nothing_is_left(&mut client)?;
    process::run(daemon.ctl(["verify"]).stdout(std::process::Stdio::null()))?;
    daemon.stop();
    let manifests = manifests(&data.join("engines"))?;
    // Frees megabytes of page cache before the next measurement.
    fs::remove_dir_all(models.parent().context("it is in a folder")?)?;

    let (open, fixed): (Vec<_>, Vec<_>) =
        manifests.iter().partition(|manifest| manifest["presets"] != Value::Array(Vec::new()));
    ensure!(!open.is_empty() && !fixed.is_empty(), "{name}: engines are missing");
    let how = "from the start with the checkpoint in place until it is ready, including settling and reading; built in \
               parallel, for compute capabilities 8.0 to 12.1";
    Ok(vec![
        Row::new(
            format!("{name}: open engines of both presets: time"),
            measured_time(ready),
            EXTENSION,
            how,
        ),
        Row::new(
            "… peak memory of a worker",
            largest(&open, "peak_bytes"),
            "",
            "from the manifests",
        ),
        Row::new(
            "… size",
            measured_size(open.iter().map(|manifest| number(manifest, "bytes")).sum::<f64>() as u64),
            "",
            "verified",
        ),
        Row::new(
            format!("{name}: a fixed engine: time"),
            seconds(greatest(&fixed, "build_seconds")),
            "",
            "the longest of those for the usual sizes, with another build in parallel",
        ),
        Row::new("… peak memory of its worker", largest(&fixed, "peak_bytes"), "", ""),
        Row::new("… size", largest(&fixed, "bytes"), "", ""),
    ])
}

fn seconds(seconds: f64) -> String {
    measured_time(Duration::from_secs_f64(seconds))
}

fn largest(manifests: &[&Value], name: &str) -> String {
    measured_size(greatest(manifests, name) as u64)
}

fn greatest(manifests: &[&Value], name: &str) -> f64 {
    manifests.iter().map(|manifest| number(manifest, name)).fold(0.0, f64::max)
}

fn number(manifest: &Value, name: &str) -> f64 {
    manifest[name].as_f64().unwrap_or(f64::NAN)
}

fn manifests(engines: &Path) -> Result<Vec<Value>> {
    let entries = fs::read_dir(engines)?.flatten().map(|entry| entry.path());
    let manifests =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    manifests.map(|path| Ok(serde_json::from_slice(&fs::read(path)?)?)).collect()
}
