//! Computes a UNet in fp32 with ONNX Runtime on the CPU.

use std::{borrow::Cow, fs, os::fd::AsRawFd, path::Path, thread};

use anyhow::{Context, Result, anyhow};
use checkpoint::Checkpoint;
use ort::{
    session::{Session, SessionInputValue, builder::GraphOptimizationLevel},
    value::Tensor,
};
use unet::{Graph, Precision};

use super::{
    inputs::{Array, Inputs, RESIDUALS},
    weights::Weights,
};

/// The library to load if none is named.
const LIBRARY: &str = "libonnxruntime.so";

/// `kOrtSessionOptionsModelExternalInitializersFileFolderPath`: the folder of the weights of a model in
/// memory. It must be their real folder, because ONNX Runtime follows no links out of it.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// The weights in fp16, in the folder to work in.
const HALVES: &str = "reference";

/// Computes the output of the checkpoint's UNet for these inputs, with residuals among them or without. Weights of
/// another type than ONNX Runtime reads, or with scales, are first written to `folder` in fp16, which is what engines
/// read.
///
/// # Errors
/// If ONNX Runtime can't be loaded, or fails.
pub(super) fn run(
    checkpoint: &Checkpoint,
    inputs: &Inputs,
    library: Option<&Path>,
    folder: &Path,
) -> Result<Array> {
    let library = library.unwrap_or(Path::new(LIBRARY));
    let environment = ort::init_from(library).map_err(|error| {
        anyhow!("cannot load ONNX Runtime ({error}); run `sdtrtctl runtime install`")
    })?;
    let environment = environment.build().map_err(ort_error)?;
    let with_residuals = inputs.keys().any(|name| name.starts_with(RESIDUALS));
    let make = if with_residuals { Graph::with_residuals } else { Graph::new };
    let (graph, folder, name) = if checkpoint.parameters().all(|tensor| checkpoint.is_plain(tensor))
    {
        // The open file's current path: it may have been renamed since.
        let file = fs::read_link(format!("/proc/self/fd/{}", checkpoint.file().as_raw_fd()))?;
        let text = |path: Option<&Path>| Some(path?.to_str()?.to_owned());
        let named = text(file.parent()).zip(text(file.file_name().map(Path::new)));
        let (folder, name) =
            named.with_context(|| format!("the path {} is not UTF-8", file.display()))?;
        let graph = make(&checkpoint.architecture, &checkpoint.tensors, Precision::Fp32)?;
        (graph, folder, name)
    } else {
        let (tensors, _) = Weights::new(checkpoint)?.write_halves(&folder.join(HALVES))?;
        let graph = make(&checkpoint.architecture, &tensors, Precision::Fp32)?;
        let real = fs::canonicalize(folder)?;
        let folder = real.to_str().with_context(|| format!("{} is not UTF-8", real.display()))?;
        (graph, folder.to_owned(), HALVES.to_owned())
    };
    let model = graph.to_onnx(&name);

    let threads = thread::available_parallelism().map_or(1, usize::from);
    let session = Session::builder(&environment)
        .and_then(|builder| Ok(builder.with_intra_threads(threads)?))
        // A higher level would keep a second copy of all weights in memory, in fp32.
        .and_then(|builder| Ok(builder.with_optimization_level(GraphOptimizationLevel::Disable)?))
        .and_then(|builder| Ok(builder.with_config_entry(WEIGHTS_FOLDER, folder)?))
        .and_then(|mut builder| builder.commit_from_memory(&model));
    let mut session = session.map_err(ort_error)?;
    let mut given = Vec::new();
    for (name, Array { shape, values }) in inputs {
        let shape: Vec<i64> =
            shape.iter().map(|size| i64::try_from(*size)).collect::<Result<_, _>>()?;
        let tensor = Tensor::from_array((shape, values.clone())).map_err(ort_error)?;
        given.push((Cow::from(name.clone()), SessionInputValue::from(tensor)));
    }
    let outputs = session.run(given).map_err(ort_error)?;
    let (shape, values) = outputs["latent"].try_extract_tensor::<f32>().map_err(ort_error)?;
    let shape = shape.iter().map(|size| u64::try_from(*size)).collect::<Result<_, _>>()?;
    Ok(Array { shape, values: values.to_vec() })
}

fn ort_error<R>(error: ort::Error<R>) -> anyhow::Error {
    anyhow!("ONNX Runtime said: {error}")
}

#[cfg(test)]
mod tests {
    use std::{env, os::unix::fs::symlink};

    use goldens::Manifest;

    use super::*;

    #[test]
    #[ignore = "needs ONNX Runtime: cargo xtask test"]
    fn it_computes_what_the_original_code_computes_and_says_how_to_install_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let golden = Manifest::load("sd2").unwrap();
        golden.write_checkpoint(&path).unwrap();
        // A link to another disk, which is common.
        let link = folder.path().join("models/link.safetensors");
        fs::create_dir(folder.path().join("models")).unwrap();
        symlink(&path, &link).unwrap();
        let checkpoint = Checkpoint::open(&link).unwrap();
        let array = |array: &goldens::Array| Array {
            shape: array.shape.iter().map(|size| *size as u64).collect(),
            values: array.values.clone(),
        };
        let case = &golden.inputs()[0];
        let names = ["sample", "timesteps", "encoder_hidden_states"];
        let inputs = names.map(|name| (name.to_owned(), array(case.get(name).unwrap()))).into();
        // This comes first: a process loads the library only once.
        let nowhere = Some(Path::new("/nowhere/libonnxruntime.so"));
        let error = run(&checkpoint, &inputs, nowhere, folder.path()).unwrap_err();
        assert!(error.to_string().contains("`sdtrtctl runtime install`"), "{error}");

        let library = env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH");
        let found = run(&checkpoint, &inputs, Some(library.as_ref()), folder.path()).unwrap();
        let expected = array(&golden.expected().unwrap()[0]);
        let error = super::super::inputs::relative_error(&found, &expected).unwrap();
        assert!(error < 1e-4, "{error}");
    }
}
