//! Compares engines on an NVIDIA GPU with torch.onnx's and PyTorch, by the scripts in `bench/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, bail};
use config::runtime::TENSORRT_RTX;

use super::lab::Lab;
use crate::{
    cargo::{self, Profile},
    folders, gpu, process,
};

/// A full-size checkpoint's name, and the sizes measured in one call: those of one profile.
const MODELS: [(&str, &[&str]); 2] = [("sd15", &["512,768", "1536"]), ("sdxl", &["1024"])];

/// What the scripts import, except TensorRT-RTX, whose version the daemon pins.
const PACKAGES: [&str; 4] = ["torch==2.11.0", "numpy", "onnx==1.23.1", "safetensors==0.8.0"];

/// Succeeds if the scripts can run.
const PROBE: &str = "\
import numpy, onnx, safetensors, tensorrt_rtx_bindings, torch
assert torch.cuda.is_available()";

/// Fails if there is no GPU.
pub(super) fn check() -> Result<()> {
    if gpu::is_there() { Ok(()) } else { bail!("no NVIDIA GPU found: nvidia-smi lists none") }
}

/// Measures, and prints a table. It needs 30 GB of disk space temporarily, and a GPU with 24 GB.
pub(super) fn run(lab: &Lab) -> Result<()> {
    let python = python()?;
    let mut build = cargo::command("build", &lab.kit.build_variables());
    process::run(build.args(["--release", "--package", "unet", "--example", "forms"]))?;
    let forms = cargo::program(Profile::Release, "examples/forms")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/gpu.py");
    let results = lab.dir("gpu")?.join("results.jsonl");
    for (name, sizes) in MODELS {
        let folder = lab.dir(&format!("gpu/{name}"))?;
        let checkpoint = folder.join("weights.safetensors");
        eprintln!("writing a full-size {name}");
        let mut goldens = Command::new(&lab.programs.goldens);
        process::run(goldens.args(["--full-size", name]).arg(&checkpoint))?;
        let mut write = Command::new(&forms);
        process::run(write.arg(&checkpoint).arg(&folder).arg("default").stdout(Stdio::null()))?;
        for sizes in sizes {
            let mut measure = Command::new(&python);
            measure.arg(&script).arg(&folder).args(["--sizes", sizes]);
            process::run(measure.arg("--results").arg(&results))?;
        }
        fs::remove_dir_all(folder)?;
    }
    process::run(Command::new(&python).arg(&script).arg("--table").arg("--results").arg(&results))
}

/// Returns a Python with everything that the scripts need: the user's own, or one in the cache folder.
fn python() -> Result<PathBuf> {
    let theirs = PathBuf::from("python3");
    if works(&theirs) {
        return Ok(theirs);
    }
    let venv = folders::cache()?.join(format!("tools/gpu-python-{}", TENSORRT_RTX.version));
    let ours = venv.join("bin/python");
    if !works(&ours) {
        eprintln!(
            "downloading PyTorch and TensorRT-RTX, several gigabytes, into {}",
            venv.display()
        );
        process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut install = Command::new(&ours);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        let tensorrt = ["bindings", "libs"]
            .map(|part| format!("tensorrt-rtx-cu12-{part}=={}", TENSORRT_RTX.version));
        process::run(install.args(PACKAGES).args(tensorrt))?;
        if !works(&ours) {
            bail!("PyTorch in {} finds no GPU; the driver may be too old for it", venv.display());
        }
    }
    Ok(ours)
}

fn works(python: &Path) -> bool {
    let probe = Command::new(python).args(["-c", PROBE]).stdin(Stdio::null()).output();
    probe.is_ok_and(|output| output.status.success())
}
