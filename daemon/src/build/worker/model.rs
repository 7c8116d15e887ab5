//! What TensorRT is given to build from.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::PathBuf,
};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Dtype};
use safetensors::tensor::{Dtype as Stored, TensorView, serialize};
use unet::{Data, Graph, Initializer, blank};

use crate::build::{Job, Weights};

/// The file that the ONNX file finds its weights in, beside itself.
const WEIGHTS: &str = "weights";

/// The ONNX file of the UNet.
pub(super) struct Model {
    pub(super) path: PathBuf,
    /// Names of the weights, which whoever refits the engine must be able to replace; none if they are
    /// inside. A constant that can't be replaced is right as it is.
    pub(super) replaceable: Vec<String>,
}

/// Writes the UNet's ONNX form and, beside it, what its weights are read from.
pub(super) fn write(job: &Job, checkpoint: &Checkpoint) -> Result<Model> {
    let Checkpoint { architecture, tensors, .. } = checkpoint;
    let precision = job.spec.precision;
    let weights = job.folder.join(WEIGHTS);
    let (graph, replaceable) = match job.spec.weights {
        Weights::Baked(_) => {
            // To the open file, which stays the same one when its path goes to another.
            let file = format!("/proc/self/fd/{}", checkpoint.file().as_raw_fd());
            symlink(&file, &weights).with_context(|| format!("cannot link to {file}"))?;
            (Graph::new(architecture, tensors, precision)?, Vec::new())
        }
        Weights::Shared(_) => {
            let (tensors, bytes) = blank(tensors, precision);
            let zeros = fs::File::create(&weights).and_then(|file| file.set_len(bytes));
            zeros.with_context(|| format!("cannot write {}", weights.display()))?;
            let graph = Graph::new(architecture, &tensors, precision)?;
            write_constants(job, &graph)?;
            let weights = graph.initializers().iter();
            let weights = weights.filter(|weight| matches!(weight.data, Data::External { .. }));
            let replaceable = weights.map(|weight| weight.name.clone()).collect();
            (graph, replaceable)
        }
    };
    let path = job.folder.join("unet.onnx");
    fs::write(&path, graph.to_onnx(WEIGHTS))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Model { path, replaceable })
}

/// Whoever refits the engine must supply the graph's constants too: without them its output is
/// garbage, and nothing says so.
fn write_constants(job: &Job, graph: &Graph) -> Result<()> {
    let mut constants = BTreeMap::new();
    for Initializer { name, dtype, shape, data } in numbers(graph) {
        let Data::Inline(bytes) = data else { continue };
        let dtype = match dtype {
            Dtype::F16 => Stored::F16,
            _ => Stored::F32,
        };
        let shape = shape.iter().map(|size| usize::try_from(*size)).collect::<Result<_, _>>()?;
        constants.insert(name, TensorView::new(dtype, shape, bytes)?);
    }
    let path = job.constants();
    let cannot = || format!("cannot write {}", path.display());
    let bytes = serialize(constants, None)?;
    let mut file = fs::File::create(&path).with_context(cannot)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).with_context(cannot)
}

/// All that TensorRT computes with; shapes and indices, which are whole numbers, stay in the plan.
fn numbers(graph: &Graph) -> impl Iterator<Item = &Initializer> {
    graph.initializers().iter().filter(|i| matches!(i.dtype, Dtype::F16 | Dtype::F32))
}
