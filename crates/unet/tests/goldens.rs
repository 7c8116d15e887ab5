//! The golden checkpoints' graphs compute the same as the original UNet code.

mod common;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use checkpoint::{Checkpoint, UNET_PREFIX};
use common::Golden;
use common::runtime::Runtime;
use goldens::{Array, Case, Manifest};
use unet::{Form, Graph, Precision};

/// The largest relative error of an fp32 graph.
const FP32: f64 = 1e-4;
/// The largest relative error of an fp16 graph.
const FP16: f64 = 2e-2;

/// Runs all of a checkpoint's cases with one form of its graph, and compares the outputs.
fn check(golden: &Golden, precision: Precision, form: Form, tolerance: f64) -> Result<()> {
    let name = &golden.manifest.name;
    let model = golden.write(&golden.graph(precision, form)?)?;
    let mut runtime = Runtime::load(&model)?;
    let cases = golden.manifest.inputs().into_iter().zip(golden.manifest.expected()?);
    for (index, (case, expected)) in cases.enumerate() {
        let error = error(golden, index, runtime.run(&case)?, &expected)?;
        println!("{name} {:?} {precision} case {index}: {error:.1e}", golden.manifest.dtype);
        ensure!(error <= tolerance, "{name} {precision} case {index}: {error:e} > {tolerance:e}");
    }
    Ok(())
}

/// The relative error of a case's output where its fixture has values. The rest must at least be finite.
fn error(golden: &Golden, index: usize, latent: Array, expected: &Array) -> Result<f64> {
    ensure!(latent.values.iter().all(|value| value.is_finite()), "case {index} is not finite");
    Ok(golden.manifest.kept(index, latent).relative_error(expected))
}

fn check_both(golden: &Golden) -> Result<()> {
    check_form(golden, "default")
}

/// Uses InstanceNormalization: ONNX Runtime's GroupNormalization is inaccurate if a group's mean is much
/// larger than its deviation, as in flat latents.
fn check_flat(golden: &Golden) -> Result<()> {
    check_form(golden, "norm-instance")
}

/// Checks one form, with the weights in the graph and as inputs.
fn check_form(golden: &Golden, form: &str) -> Result<()> {
    for (precision, tolerance) in [(Precision::Fp32, FP32), (Precision::Fp16, FP16)] {
        check(golden, precision, form.parse()?, tolerance)?;
        check_shared(golden, precision, form.parse()?, tolerance)?;
    }
    Ok(())
}

/// Checks the graph whose weights are inputs, filled as the binding says.
fn check_shared(golden: &Golden, precision: Precision, form: Form, tolerance: f64) -> Result<()> {
    let Checkpoint { architecture, tensors, .. } = &golden.checkpoint;
    let graph = Graph::shared_with_form(architecture, tensors, precision, form)?;
    let weights = golden.weights(graph.binding().context("no binding")?)?;
    let mut runtime = Runtime::load(&golden.write(&graph)?)?;
    let cases = golden.manifest.inputs().into_iter().zip(golden.manifest.expected()?);
    for (index, (mut case, expected)) in cases.enumerate() {
        case.extend(weights.clone());
        let error = error(golden, index, runtime.run(&case)?, &expected)?;
        println!("{} shared {precision} case {index}: {error:.1e}", golden.manifest.name);
        ensure!(error <= tolerance, "shared {precision} case {index}: {error:e} > {tolerance:e}");
    }
    Ok(())
}

/// Declares one test per golden, so that they run in parallel.
macro_rules! goldens {
    ($($test:ident: $name:literal by $check:ident,)*) => {
        $(
            #[test]
            #[ignore = "needs ONNX Runtime: cargo xtask test"]
            fn $test() -> Result<()> {
                $check(&Golden::load($name)?)
            }
        )*

        #[test]
        fn every_golden_has_a_test() -> Result<()> {
            assert_eq!(goldens::names()?, [$($name),*]);
            Ok(())
        }
    };
}

goldens! {
    hard: "hard" by check_flat,
    instruct_pix2pix: "instruct-pix2pix" by check_both,
    overflow: "overflow" by check_flat,
    overflow_scaled: "overflow-scaled" by check_flat,
    refiner: "refiner" by check_both,
    sd1: "sd1" by check_both,
    sd1_ic_light: "sd1-ic-light" by check_both,
    sd1_inpaint: "sd1-inpaint" by check_both,
    sd2: "sd2" by check_both,
    sd2_depth: "sd2-depth" by check_both,
    sd2_inpaint: "sd2-inpaint" by check_both,
    sd2_lotus: "sd2-lotus" by check_both,
    sd2_marigold: "sd2-marigold" by check_both,
    sd2_unclip_h: "sd2-unclip-h" by check_both,
    sd2_unclip_l: "sd2-unclip-l" by check_both,
    sdxl: "sdxl" by check_both,
    sdxl_32_channels: "sdxl-32-channels" by check_both,
    sdxl_inpaint: "sdxl-inpaint" by check_both,
    sdxl_instruct_pix2pix: "sdxl-instruct-pix2pix" by check_both,
    ssd_1b: "ssd-1b" by check_both,
}

#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn weights_are_read_in_place_from_a_torch_file() -> Result<()> {
    let golden = Golden::in_file(Manifest::load("sd1")?, "checkpoint.ckpt")?;
    check(&golden, Precision::Fp32, Form::default(), FP32)
}

/// Returns the golden `sdxl` with a change of its manifest.
fn changed_sdxl(change: impl FnOnce(&mut serde_json::Value)) -> Result<Golden> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/sdxl.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
    manifest["sha256"] = serde_json::Value::Null;
    change(&mut manifest);
    Golden::new(serde_json::from_value(manifest)?)
}

/// A1111 and ComfyUI put zeros in the place of what a pruned SDXL lacks.
#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn what_was_pruned_counts_as_zeros() -> Result<()> {
    let pruned = [
        "input_blocks.4.1.",
        "input_blocks.5.0.",
        "input_blocks.7.1.transformer_blocks.0.",
        "input_blocks.8.1.transformer_blocks.1.",
        "middle_block.1.",
        "output_blocks.0.1.transformer_blocks.2.",
        // Before the doubling of the size.
        "output_blocks.2.1.",
    ];
    let is_pruned = |tensor: &serde_json::Value| {
        let name = tensor[0].as_str().and_then(|name| name.strip_prefix(UNET_PREFIX));
        name.is_some_and(|name| pruned.iter().any(|part| name.starts_with(part)))
    };
    let tensors =
        |manifest: &serde_json::Value| manifest["tensors"].as_array().cloned().unwrap_or_default();
    let zeros = changed_sdxl(|manifest| {
        let zeros = tensors(manifest).into_iter().filter(is_pruned);
        let named = |tensor: serde_json::Value| Some((tensor[0].as_str()?.to_owned(), 0));
        manifest["factors"] =
            serde_json::json!(zeros.filter_map(named).collect::<BTreeMap<_, _>>());
    })?;
    let without = changed_sdxl(|manifest| {
        let kept = tensors(manifest).into_iter().filter(|tensor| !is_pruned(tensor));
        manifest["tensors"] = kept.collect();
    })?;
    let mut outputs = Vec::new();
    for golden in [&zeros, &without] {
        let model = golden.write(&golden.graph(Precision::Fp32, Form::default())?)?;
        outputs.push(Runtime::load(&model)?.run(&golden.manifest.inputs()[0])?);
    }
    let error = outputs[1].relative_error(&outputs[0]);
    ensure!(error <= 1e-5, "{error:e}");
    let whole = Manifest::load("sdxl")?.expected()?;
    ensure!(outputs[0].relative_error(&whole[0]) > 0.1, "nothing was pruned");
    Ok(())
}

#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn every_form_computes_the_same() -> Result<()> {
    // Its latents have odd sizes, and it projects by convolutions.
    let golden = Golden::load("instruct-pix2pix")?;
    for name in Form::changes() {
        println!("{name}");
        let form = name.parse()?;
        check(&golden, Precision::Fp32, form, FP32)?;
        check(&golden, Precision::Fp16, form, FP16)?;
    }
    Ok(())
}

/// Makes a case of any size.
fn case(manifest: &Manifest, batch: usize, [height, width]: [usize; 2], tokens: usize) -> Case {
    let steps = Array { shape: vec![batch], values: vec![500.5; batch] };
    let context = [batch, tokens, 2048];
    Case::from([
        ("sample".to_owned(), manifest.input(0, "sample", &[batch, 4, height, width])),
        ("timesteps".to_owned(), steps),
        ("encoder_hidden_states".to_owned(), manifest.input(0, "context", &context)),
        ("y".to_owned(), manifest.input(0, "y", &[batch, 2816])),
    ])
}

#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn any_size_batch_and_token_count_runs() -> Result<()> {
    let golden = Golden::load("sdxl")?;
    let model = golden.write(&golden.graph(Precision::Fp32, Form::default())?)?;
    let mut runtime = Runtime::load(&model)?;
    let sizes = [(1, [9, 13], 77), (3, [17, 8], 154), (2, [7, 5], 77), (1, [1, 1], 231)];
    for (batch, [height, width], tokens) in sizes {
        let latent = runtime.run(&case(&golden.manifest, batch, [height, width], tokens))?;
        assert_eq!(latent.shape, [batch, 4, height, width]);
        assert!(latent.values.iter().all(|value| value.is_finite()));
    }
    Ok(())
}

#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn images_of_a_batch_do_not_affect_each_other() -> Result<()> {
    let golden = Golden::load("sdxl")?;
    let model = golden.write(&golden.graph(Precision::Fp32, Form::default())?)?;
    let mut runtime = Runtime::load(&model)?;
    let batch = case(&golden.manifest, 3, [9, 13], 77);
    let together = runtime.run(&batch)?;
    for index in 0..3 {
        let one = batch.iter().map(|(name, array)| (name.clone(), image(array, index))).collect();
        let error = runtime.run(&one)?.relative_error(&image(&together, index));
        ensure!(error <= FP32, "image {index}: {error:e}");
    }
    Ok(())
}

/// Returns one image of a batch.
fn image(array: &Array, index: usize) -> Array {
    let size = array.values.len() / array.shape[0];
    let mut shape = array.shape.clone();
    shape[0] = 1;
    Array { shape, values: array.values[index * size..][..size].to_vec() }
}
