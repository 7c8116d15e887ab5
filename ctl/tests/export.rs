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
use half::f16;
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
    // Strided and negated.
    let golden = Manifest::load("sd1").unwrap();
    let path = temp.path().join("lazy.ckpt");
    golden.write_lazy(&path).unwrap();
    let exported = export(&path, &temp.path().join("lazy"), &["--precision", "fp32"]);
    assert_eq!(exported["storage"], "converted");
    check(&golden, &exported, &path);
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

/// A safetensors file of these tensors: name, type, shape, bytes.
fn safetensors(path: &Path, tensors: &[(String, &str, Value, Vec<u8>)]) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let end = data.len() + bytes.len();
        let about = json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] });
        header.insert(name.clone(), about);
        data.extend_from_slice(bytes);
    }
    let header = Value::Object(header).to_string();
    let len = (header.len() as u64).to_le_bytes();
    fs::write(path, [&len, header.as_bytes(), &data].concat()).unwrap();
}

/// The golden's tensors, which are in fp16.
fn halves(path: &Path) -> Vec<(String, Value, Vec<[u8; 2]>)> {
    let file = fs::read(path).unwrap();
    let start = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&file[8..start]).unwrap();
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    let read = tensors.map(|(name, about)| {
        let [from, to] = [0, 1].map(|at| about["data_offsets"][at].as_u64().unwrap() as usize);
        let values = file[start + from..start + to].as_chunks().0.to_vec();
        (name.clone(), about["shape"].clone(), values)
    });
    read.collect()
}

#[test]
#[ignore = "needs onnx and ONNX Runtime: cargo xtask test"]
fn quantised_weights_are_exported_as_what_they_stand_for() {
    let temp = tempfile::tempdir().unwrap();
    let golden = Manifest::load("sd1").unwrap();
    let halves = halves(&checkpoint(&golden, temp.path(), "golden.safetensors"));
    // The upper byte of an fp16 is an fp8 of 5 exponent bits.
    for (dtype, scale) in [("F8_E5M2", None), ("F8_E5M2", Some(0.5_f32)), ("F16", Some(0.5))] {
        let (mut stored, mut plain) = (Vec::new(), Vec::new());
        for (name, shape, values) in &halves {
            let layer =
                name.strip_suffix(".weight").filter(|_| shape.as_array().unwrap().len() > 1);
            let scale = scale.filter(|_| layer.is_some() && name.contains("diffusion_model."));
            let upper = values.iter().map(|[_, upper]| *upper);
            let bytes = match dtype {
                "F16" => upper.clone().flat_map(|upper| [0, upper]).collect(),
                _ => upper.clone().collect(),
            };
            stored.push((name.clone(), dtype, shape.clone(), bytes));
            if let (Some(layer), Some(scale)) = (layer, scale) {
                let bytes = scale.to_le_bytes().to_vec();
                stored.push((format!("{layer}.scale_weight"), "F32", json!([]), bytes));
            }
            let value = |upper| f16::from_le_bytes([0, upper]).to_f32() * scale.unwrap_or(1.0);
            let bytes = upper.flat_map(|upper| value(upper).to_le_bytes()).collect();
            plain.push((name.clone(), "F32", shape.clone(), bytes));
        }
        let [quantised, reference] =
            [("quantised", stored), ("reference", plain)].map(|(name, tensors)| {
                let path = temp.path().join(format!("{name}.safetensors"));
                safetensors(&path, &tensors);
                let exported = export(&path, &temp.path().join(name), &["--precision", "fp32"]);
                (latent(&golden, &exported, &path).unwrap(), exported)
            });
        assert_eq!(quantised.1["storage"], "converted", "{dtype} {scale:?}");
        let error = quantised.0.relative_error(&reference.0);
        assert!(error < 1e-6, "{dtype} {scale:?}: {error:e}");
        fs::remove_dir_all(temp.path().join("reference")).unwrap();
    }
    let path = temp.path().join("quantised.safetensors");
    let args = ["export", utf8(&path), "--output", utf8(temp.path()), "--link"];
    let refused = common::alone(&args);
    assert!(refused.stderr.contains("leave out --link"), "{refused:?}");
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
