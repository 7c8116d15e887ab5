//! What `export` writes is opened and run by onnx and ONNX Runtime.

#![allow(clippy::unwrap_used, reason = "a test stops where its surroundings fail")]

mod common;

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use common::{ctl, run, utf8};
use goldens::{Array, Manifest};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The largest relative error of an fp32 graph.
const FP32: f64 = 1e-4;
/// The largest relative error of an fp16 graph.
const FP16: f64 = 2e-2;

/// Exports, and returns the answer.
fn export(checkpoint: &Path, out: &Path, options: &[&str]) -> Value {
    let args = ["export", utf8(checkpoint), "--output", utf8(out), "--json"];
    let outcome = run(ctl(&args).args(options));
    assert_eq!(
        (outcome.code, outcome.stderr.as_str()),
        (Some(0), ""),
        "{checkpoint:?} {options:?}"
    );
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// The latent of the golden's first case, computed by ONNX Runtime after onnx has found no fault with the model.
fn latent(golden: &Manifest, exported: &Value, checkpoint: &Path) -> Result<Array, String> {
    // `cargo xtask test` sets it.
    let packages = env::var_os("SDTRT_TEST_ONNX").unwrap();
    let temp = tempfile::tempdir().unwrap();
    let inputs = temp.path().join("inputs.json");
    let array = |array: &Array| json!({ "shape": array.shape, "values": array.values });
    let cases = golden.inputs();
    let case = cases[0].iter().map(|(name, input)| (name.clone(), array(input)));
    fs::write(&inputs, Value::Object(case.collect()).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_model.py");
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", packages).current_dir(temp.path());
    python.arg("-B").arg(script).arg(exported["onnx"].as_str().unwrap()).arg(&inputs);
    if let Some(binding) = exported["binding"].as_str() {
        python.arg(checkpoint).arg(binding);
    }
    let output = python.output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    let latent: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shape = latent["shape"].as_array().unwrap().iter();
    let values = latent["values"].as_array().unwrap().iter();
    Ok(Array {
        shape: shape.map(|size| size.as_u64().unwrap() as usize).collect(),
        values: values.map(|value| value.as_f64().unwrap() as f32).collect(),
    })
}

/// Asserts that the exported graph computes what the original code computes.
fn check(golden: &Manifest, exported: &Value, checkpoint: &Path) {
    let latent = latent(golden, exported, checkpoint).unwrap_or_else(|error| panic!("{error}"));
    let error = golden.kept(0, latent).relative_error(&golden.expected().unwrap()[0]);
    let bound = if exported["precision"] == "fp32" { FP32 } else { FP16 };
    assert!(error <= bound, "{}: {error:e}", golden.name);
}

/// Folders for exports: on the file system of temporary files, and on another one if this machine has it.
fn places() -> Vec<TempDir> {
    let here = tempfile::tempdir().unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    let there = tempfile::tempdir_in("/dev/shm").ok();
    let other = there.filter(|there| device(there.path()) != device(here.path()));
    [Some(here), other].into_iter().flatten().collect()
}

/// Writes a golden's checkpoint below `dir`.
fn checkpoint(golden: &Manifest, dir: &Path, file: &str) -> PathBuf {
    let path = dir.join(file);
    golden.write_checkpoint(&path).unwrap();
    path
}

#[test]
#[ignore = "needs onnx and ONNX Runtime: cargo xtask test"]
fn todays_tools_open_an_export_on_every_file_system() {
    let models = tempfile::tempdir().unwrap();
    let golden = Manifest::load("sd1").unwrap();
    let path = checkpoint(&golden, models.path(), "a..b sd1.safetensors");
    let before = fs::metadata(&path).unwrap();
    for place in places() {
        for precision in ["fp16", "fp32"] {
            let exported = export(&path, place.path(), &["--precision", precision]);
            check(&golden, &exported, &path);
        }
        let weights = fs::canonicalize(place.path()).unwrap().join("checkpoint.safetensors");
        assert!(fs::symlink_metadata(&weights).unwrap().is_file());
        // The daemon would read the checkpoint again if it had another link or another time.
        let after = fs::metadata(&path).unwrap();
        let of = |found: &fs::Metadata| (found.nlink(), found.ctime(), found.ctime_nsec());
        assert_eq!(of(&after), of(&before));
        // Neither is the other: both can be changed and deleted.
        fs::write(&weights, "changed").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), before.len());
    }
    let beside = export(&path, models.path(), &["--precision", "fp32"]);
    check(&golden, &beside, &path);
}

#[test]
#[ignore = "needs onnx and ONNX Runtime: cargo xtask test"]
fn every_type_and_format_of_weights_is_exported() {
    let temp = tempfile::tempdir().unwrap();
    for (golden, file) in
        [("sd2-unclip-h", "bf16.safetensors"), ("sd2-inpaint", "fp32.ckpt"), ("sd1", "fp16.ckpt")]
    {
        let golden = Manifest::load(golden).unwrap();
        let path = checkpoint(&golden, temp.path(), file);
        let exported = export(&path, &temp.path().join("out"), &["--precision", "fp32"]);
        check(&golden, &exported, &path);
    }
}

#[test]
#[ignore = "needs onnx and ONNX Runtime: cargo xtask test"]
fn weights_can_be_inputs() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["sd1", "sdxl"] {
        let golden = Manifest::load(name).unwrap();
        let path = checkpoint(&golden, temp.path(), "a.safetensors");
        let out = temp.path().join(name);
        for precision in ["fp16", "fp32"] {
            let options = ["--weights-as-inputs", "--precision", precision];
            let exported = export(&path, &out, &options);
            assert_eq!(exported["weights"], Value::Null);
            check(&golden, &exported, &path);
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2, "no weights");
    }
}

/// So that the error names nothing that isn't so: these tools open no link.
#[test]
#[ignore = "needs onnx and ONNX Runtime: cargo xtask test"]
fn a_link_is_for_other_programs() {
    let temp = tempfile::tempdir().unwrap();
    let golden = Manifest::load("sd1").unwrap();
    let path = checkpoint(&golden, temp.path(), "a.safetensors");
    let exported = export(&path, &temp.path().join("out"), &["--link"]);
    assert_eq!(exported["storage"], "link");
    let error = latent(&golden, &exported, &path).unwrap_err();
    assert!(error.contains("symbolic link"), "{error}");
}
