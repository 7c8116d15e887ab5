//! What TensorRT is given to build from.

use std::{
    fs,
    os::{fd::AsRawFd, unix::fs::symlink},
    path::PathBuf,
};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Dtype, Tensor};
use engine::{EngineSpec, Job, Parameter, Profile};
use unet::{Binding, Graph};

use super::{sums::Attentions, weights::Weights};

/// The file that the ONNX file finds its weights in, beside itself.
const WEIGHTS: &str = "weights";

/// The dimensions that may differ from call to call: what the graph calls each, and where it is.
const DIMENSIONS: [(&str, &str, usize); 4] = [
    ("batch", "sample", 0),
    ("height", "sample", 2),
    ("width", "sample", 3),
    ("tokens", "encoder_hidden_states", 1),
];

/// The ONNX file of the UNet.
pub(super) struct Model {
    pub(super) path: PathBuf,
    /// How weights that are inputs are bound.
    pub(super) binding: Option<Binding>,
    pub(super) attentions: Attentions,
}

/// Writes the ONNX form of a UNet with these parameters, whose weights are inputs.
pub(super) fn shared(job: &Job, parameters: &[Parameter]) -> Result<Model> {
    let tensor = |Parameter { name, shape }: &Parameter| {
        let (name, shape) = (name.clone(), shape.clone());
        Tensor { name, dtype: job.spec.precision.dtype(), shape, offset: 0, bytes: 0 }
    };
    let tensors: Vec<_> = parameters.iter().map(tensor).collect();
    let graph = Graph::shared(&job.spec.architecture, &tensors, job.spec.precision)?;
    write(job, graph, Attentions::of(&tensors))
}

/// Writes the ONNX form of a checkpoint's UNet and, beside it, what its weights are read from.
pub(super) fn baked(job: &Job, checkpoint: &Checkpoint) -> Result<Model> {
    let weights = job.folder.join(WEIGHTS);
    let is_half = |tensor: &Tensor| tensor.dtype == Dtype::F16;
    let tensors = if checkpoint.unet().all(is_half) {
        // To the open file, which stays the same one when its path goes to another.
        let file = format!("/proc/self/fd/{}", checkpoint.file().as_raw_fd());
        symlink(&file, &weights).with_context(|| format!("cannot link to {file}"))?;
        checkpoint.tensors.clone()
    } else {
        // TensorRT builds nothing with bf16 for compute capability 7.5, a constant that is cast at once
        // included.
        Weights::new(checkpoint)?.write_halves(&weights)?
    };
    let graph = Graph::new(&job.spec.architecture, &tensors, job.spec.precision)?;
    write(job, graph, Attentions::of(&tensors))
}

fn write(job: &Job, graph: Graph, attentions: Attentions) -> Result<Model> {
    let graph = fixed(graph, &job.spec);
    let path = job.folder.join("unet.onnx");
    fs::write(&path, graph.to_onnx(WEIGHTS))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Model { path, binding: graph.binding().cloned(), attentions })
}

/// The graph with the dimensions fixed that are the same in every call.
fn fixed(mut graph: Graph, spec: &EngineSpec) -> Graph {
    for (name, input, dimension) in DIMENSIONS {
        let size = |profile: &Profile| {
            let shapes = profile.inputs.get(input)?;
            let (least, most) = (shapes.min.get(dimension)?, shapes.max.get(dimension)?);
            (least == most).then_some(*least)
        };
        let mut sizes = spec.profiles.iter().map(size);
        if let Some(Some(first)) = sizes.next()
            && sizes.all(|size| size == Some(first))
        {
            graph = graph.fixed(name, first);
        }
    }
    graph
}
