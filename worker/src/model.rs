//! The ONNX model that TensorRT builds from.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use checkpoint::{Checkpoint, Tensor};
use engine::{EngineSpec, Inside, Job, Parameter, Profile};
use unet::{Binding, Graph, Residual};

use super::{accumulation::Attentions, weights::Weights};

/// The weights file, beside the ONNX file.
const WEIGHTS: &str = "weights";

/// The UNet as an ONNX file.
pub(super) struct Model {
    pub(super) path: PathBuf,
    /// The shapes of all of its inputs but the weights.
    pub(super) profiles: Vec<Profile>,
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
    let graph = shared_graph(&job.spec, &tensors)?;
    write(job, graph, Attentions::of(&tensors))
}

/// The graph of a shared engine.
pub(super) fn shared_graph(spec: &EngineSpec, tensors: &[Tensor]) -> Result<Graph> {
    let make = if spec.controlnet { Graph::shared_with_residuals } else { Graph::shared };
    Ok(make(&spec.architecture, tensors, spec.precision)?)
}

/// The shapes of all inputs of an engine's graph but the weights.
pub(super) fn profiles(spec: &EngineSpec, residuals: &[Residual]) -> Vec<Profile> {
    spec.profiles.iter().map(|profile| profile.clone().with_residuals(residuals)).collect()
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
    let profiles = profiles(&job.spec, graph.residuals());
    let graph = fixed(graph, &profiles);
    let path = job.folder.join("unet.onnx");
    fs::write(&path, graph.to_onnx(WEIGHTS))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Model { path, profiles, binding: graph.binding().cloned(), attentions, weights: None })
}

/// Fixes the dimensions that are the same in the whole profile.
fn fixed(mut graph: Graph, profiles: &[Profile]) -> Graph {
    for (name, input, index) in graph.dynamic_dimensions() {
        let size = |profile: &Profile| {
            let shapes = profile.inputs.get(&input)?;
            let (min, max) = (shapes.min.get(index)?, shapes.max.get(index)?);
            (min == max).then_some(*min)
        };
        let mut sizes = profiles.iter().map(size);
        if let Some(Some(first)) = sizes.next()
            && sizes.all(|size| size == Some(first))
        {
            graph = graph.fixed(name, first);
        }
    }
    graph
}
