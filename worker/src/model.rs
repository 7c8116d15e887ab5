//! The ONNX model that TensorRT builds from.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Tensor};
use engine::{EngineSpec, Inside, Job, Parameter, Profile};
use unet::{Binding, Graph};

use super::{accumulation::Attentions, weights::Weights};

/// The weights file, beside the ONNX file.
const WEIGHTS: &str = "weights";

/// The UNet as an ONNX file.
pub(super) struct Model {
    pub(super) path: PathBuf,
    /// How a shared engine's weights are derived from a model's tensors.
    pub(super) binding: Option<Binding>,
    pub(super) attentions: Attentions,
    /// Whose weights are inside.
    pub(super) weights: Option<Inside>,
}

/// Writes the ONNX model of a UNet with these parameters, whose weights are inputs.
pub(super) fn shared(job: &Job, parameters: &[Parameter]) -> Result<Model> {
    let tensor = |Parameter { name, shape }: &Parameter| {
        let (name, shape) = (name.clone(), shape.clone());
        Tensor { name, dtype: job.spec.precision.dtype(), shape, offset: 0, bytes: 0 }
    };
    let tensors: Vec<_> = parameters.iter().map(tensor).collect();
    let graph = Graph::shared(&job.spec.architecture, &tensors, job.spec.precision)?;
    write(job, graph, Attentions::of(&tensors))
}

/// Writes the ONNX form of a checkpoint's UNet and, beside it, its weights: TensorRT builds nothing with bf16 for
/// compute capability 7.5, a constant that is cast at once included, and what it reads must not change meanwhile.
pub(super) fn baked(job: &Job, checkpoint: &Checkpoint) -> Result<Model> {
    let weights = job.folder.join(WEIGHTS);
    let (tensors, inside) = Weights::new(checkpoint)?.write_halves(&weights)?;
    let graph = Graph::new(&job.spec.architecture, &tensors, job.spec.precision)?;
    Ok(Model { weights: Some(inside), ..write(job, graph, Attentions::of(&tensors))? })
}

fn write(job: &Job, graph: Graph, attentions: Attentions) -> Result<Model> {
    let graph = fixed(graph, &job.spec);
    let path = job.folder.join("unet.onnx");
    fs::write(&path, graph.to_onnx(WEIGHTS))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Model { path, binding: graph.binding().cloned(), attentions, weights: None })
}

/// Fixes the dimensions that are the same in the whole profile.
fn fixed(mut graph: Graph, spec: &EngineSpec) -> Graph {
    for (name, input, index) in graph.dynamic_dimensions() {
        let size = |profile: &Profile| {
            let shapes = profile.inputs.get(&input)?;
            let (min, max) = (shapes.min.get(index)?, shapes.max.get(index)?);
            (min == max).then_some(*min)
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
