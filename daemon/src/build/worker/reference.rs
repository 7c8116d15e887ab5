//! What a UNet gives in fp32, computed by ONNX Runtime on the CPU.

use std::{
    borrow::Cow,
    fs,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::Path,
    thread,
};

use anyhow::{Context, Result, anyhow};
use checkpoint::Checkpoint;
use ort::{
    session::{Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::Tensor,
};
use unet::{Graph, Precision};

use super::numbers::{Inputs, Numbers};

/// What the loader is asked for where no library is named.
const LIBRARY: &str = "libonnxruntime.so";

/// The file that the ONNX file finds its weights in, beside itself.
const WEIGHTS: &str = "reference-weights";

/// The output of the checkpoint's UNet for these inputs. `folder` gets what ONNX Runtime reads.
pub(super) fn run(
    checkpoint: &Checkpoint,
    inputs: &Inputs,
    library: Option<&Path>,
    folder: &Path,
) -> Result<Numbers> {
    let library = library.unwrap_or(Path::new(LIBRARY));
    let environment = ort::init_from(library).map_err(|error| {
        anyhow!("ONNX Runtime can't be loaded ({error}); `sdtrtctl runtime install` fetches it")
    })?;
    let environment = environment.build().map_err(said)?;
    let weights = folder.join(WEIGHTS);
    let file = format!("/proc/self/fd/{}", checkpoint.file().as_raw_fd());
    symlink(&file, &weights).with_context(|| format!("cannot link to {file}"))?;
    let graph = Graph::new(&checkpoint.architecture, &checkpoint.tensors, Precision::Fp32)?;
    let path = folder.join("reference.onnx");
    fs::write(&path, graph.to_onnx(WEIGHTS))
        .with_context(|| format!("cannot write {}", path.display()))?;

    let threads = thread::available_parallelism().map_or(1, usize::from);
    let session = Session::builder(&environment)
        .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
        // Any more would keep all weights in memory once more, in fp32.
        .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Disable)?))
        .and_then(|mut builder| builder.commit_from_file(&path));
    let mut session = session.map_err(said)?;
    let mut given = Vec::new();
    for (name, Numbers { shape, values }) in inputs {
        let shape: Vec<i64> =
            shape.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>()?;
        let tensor = Tensor::from_array((shape, values.clone())).map_err(said)?;
        given.push((Cow::from(name.clone()), SessionInputValue::from(tensor)));
    }
    let outputs = session.run(given).map_err(said)?;
    let (shape, values) = outputs["latent"].try_extract_tensor::<f32>().map_err(said)?;
    let shape = shape.iter().map(|size| u64::try_from(*size)).collect::<Result<_, _>>()?;
    Ok(Numbers { shape, values: values.to_vec() })
}

fn said<R>(error: ort::Error<R>) -> anyhow::Error {
    anyhow!("ONNX Runtime said: {error}")
}

#[cfg(test)]
mod tests {
    use std::env;

    use goldens::Manifest;

    use super::*;

    #[test]
    #[ignore = "needs ONNX Runtime: cargo xtask test"]
    fn a_golden_checkpoint_gives_what_the_original_code_gave() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let golden = Manifest::load("sd2").unwrap();
        golden.write_checkpoint(&path).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let numbers = |array: &goldens::Array| Numbers {
            shape: array.shape.iter().map(|size| *size as u64).collect(),
            values: array.values.clone(),
        };
        let case = &golden.inputs()[0];
        let names = ["sample", "timesteps", "encoder_hidden_states"];
        let inputs = names.map(|name| (name.to_owned(), numbers(case.get(name).unwrap()))).into();
        let library = env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH");

        let found = run(&checkpoint, &inputs, Some(library.as_ref()), folder.path()).unwrap();
        let expected = numbers(&golden.expected().unwrap()[0]);
        let error = super::super::numbers::relative_error(&found, &expected).unwrap();
        assert!(error < 1e-4, "{error}");
    }

    #[test]
    fn without_the_library_it_is_said_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let golden = Manifest::load("sd2").unwrap();
        golden.write_checkpoint(&path).unwrap();
        let checkpoint = Checkpoint::open(&path).unwrap();
        let nowhere = Some(Path::new("/nowhere/libonnxruntime.so"));
        let error = run(&checkpoint, &Inputs::new(), nowhere, folder.path()).unwrap_err();
        assert!(error.to_string().contains("`sdtrtctl runtime install`"), "{error}");
    }
}
