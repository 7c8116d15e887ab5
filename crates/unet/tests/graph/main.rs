//! The contents of a graph, and the checkpoints that have none.

#[path = "../common/mod.rs"]
mod common;
mod rejected;

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};
use checkpoint::{Architecture, Dtype, Heads, Kind, Tensor, UNET_PREFIX};
use common::tensors;
use goldens::{Manifest, full_size_sd15, full_size_sdxl, names};
use unet::{BINDING_VERSION, Bound, Data, Dimension, Error, Graph, Layout, Precision};

/// A golden checkpoint's tensors and architecture.
fn golden(name: &str) -> Result<(Vec<Tensor>, Architecture)> {
    let tensors = tensors(&Manifest::load(name)?);
    let architecture = Architecture::of(&tensors)?;
    Ok((tensors, architecture))
}

fn graph(tensors: &[Tensor], architecture: &Architecture) -> Result<Graph, Error> {
    Graph::new(architecture, tensors, Precision::Fp16)
}

fn shared(tensors: &[Tensor], architecture: &Architecture) -> Result<Graph, Error> {
    Graph::shared(architecture, tensors, Precision::Fp16)
}

/// A tensor of the UNet. `name` lacks the UNet's prefix.
fn tensor(name: &str, shape: &[u64]) -> Tensor {
    let bytes = 2 * shape.iter().product::<u64>();
    let (name, shape) = (format!("{UNET_PREFIX}{name}"), shape.to_vec());
    Tensor { name, dtype: Dtype::F16, shape, offset: 0, bytes }
}

/// The tensors except those whose names start with `prefix`.
fn without(tensors: &[Tensor], prefix: &str) -> Vec<Tensor> {
    let prefix = format!("{UNET_PREFIX}{prefix}");
    tensors.iter().filter(|tensor| !tensor.name.starts_with(&prefix)).cloned().collect()
}

fn is_unet(tensor: &&Tensor) -> bool {
    tensor.name.starts_with(UNET_PREFIX)
}

#[test]
fn every_tensor_of_the_unet_is_one_initializer() -> Result<()> {
    let mut manifests = vec![full_size_sd15(0), full_size_sdxl(0)];
    for name in names()? {
        manifests.push(Manifest::load(&name)?);
    }
    for manifest in manifests {
        let tensors = tensors(&manifest);
        let graph = graph(&tensors, &Architecture::of(&tensors)?)?;
        let mut found = Vec::new();
        for initializer in graph.initializers() {
            if let Data::External { offset, bytes } = initializer.data {
                let (name, shape) = (initializer.name.clone(), initializer.shape.clone());
                found.push(Tensor { name, dtype: initializer.dtype, shape, offset, bytes });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let wanted: Vec<_> = tensors.iter().filter(is_unet).cloned().collect();
        assert_eq!(found, wanted, "{}", manifest.name);
    }
    Ok(())
}

#[test]
fn with_shared_weights_every_tensor_of_the_unet_is_part_of_one_input() -> Result<()> {
    let mut manifests = vec![full_size_sd15(0), full_size_sdxl(0)];
    for name in names()? {
        manifests.push(Manifest::load(&name)?);
    }
    for manifest in manifests {
        let tensors = tensors(&manifest);
        let graph = shared(&tensors, &Architecture::of(&tensors)?)?;
        assert!(graph.initializers().iter().all(|i| matches!(i.data, Data::Inline(_))));
        let binding = graph.binding().context("no binding")?;
        assert_eq!(binding.version, BINDING_VERSION);
        let shapes: BTreeMap<&str, &[u64]> = tensors
            .iter()
            .filter_map(|t| Some((t.name.strip_prefix(UNET_PREFIX)?, t.shape.as_slice())))
            .collect();
        let mut parts: Vec<&str> = Vec::new();
        for Bound { name, shape, parts: own, layout } in &binding.inputs {
            parts.extend(own.iter().map(String::as_str));
            let first = shapes[own[0].as_str()];
            let wanted = match layout {
                Layout::Ohwi => vec![first[0], first[2], first[3], first[1]],
                Layout::Plain => {
                    let rows = own.iter().map(|part| shapes[part.as_str()][0]).sum();
                    [&[rows], &first[1..]].concat()
                }
            };
            assert_eq!(*shape, wanted, "{name}");
            let input = graph.inputs().iter().find(|input| input.name == *name);
            let dimensions = input.map(|input| input.dimensions.clone());
            assert_eq!(dimensions, Some(shape.iter().copied().map(Dimension::Fixed).collect()));
        }
        parts.sort_unstable();
        assert!(parts.iter().eq(shapes.keys()), "{}", manifest.name);
    }
    Ok(())
}

#[test]
fn layers_with_the_same_input_rows_share_one_weight_input() -> Result<()> {
    let manifest = full_size_sd15(0);
    let tensors = tensors(&manifest);
    let graph = shared(&tensors, &Architecture::of(&tensors)?)?;
    let inputs = &graph.binding().context("no binding")?.inputs;
    let joined = |parts: usize| inputs.iter().filter(|i| i.parts.len() == parts).count();
    // The weights and biases of 22 time embedding projections; keys and values of 16 cross-attentions;
    // queries, keys and values of 16 self-attentions.
    assert_eq!((joined(22), joined(2), joined(3)), (2, 16, 16));
    // Every convolution larger than 1×1.
    assert_eq!(inputs.iter().filter(|input| input.layout == Layout::Ohwi).count(), 52);
    assert_eq!(graph.nodes().iter().filter(|node| node.operator == "Gemm").count(), 115);
    Ok(())
}

#[test]
fn a_shared_graph_does_not_depend_on_the_types_of_the_weights() -> Result<()> {
    let (tensors, architecture) = golden("sd2")?;
    let wanted = shared(&tensors, &architecture)?;
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F8E4M3] {
        let stored = |tensor: &Tensor| Tensor { dtype, offset: 7, bytes: 0, ..tensor.clone() };
        let stored: Vec<_> = tensors.iter().map(stored).collect();
        assert_eq!(shared(&stored, &architecture)?, wanted);
    }
    Ok(())
}

#[test]
fn a_dimension_can_be_fixed() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let graph = shared(&tensors, &architecture)?.fixed("batch", 2).fixed("height", 64);
    let dimensions = |name: &str| {
        let input = graph.inputs().iter().find(|input| input.name == name);
        input.map(|input| input.dimensions.clone()).unwrap_or_default()
    };
    use Dimension::{Dynamic, Fixed};
    assert_eq!(dimensions("sample"), [Fixed(2), Fixed(4), Fixed(64), Dynamic("width")]);
    assert_eq!(dimensions("encoder_hidden_states"), [Fixed(2), Dynamic("tokens"), Fixed(768)]);
    let output = [Fixed(2), Fixed(4), Fixed(64), Dynamic("width")];
    assert_eq!(graph.output().dimensions, output);
    Ok(())
}

#[test]
fn every_value_has_one_source_before_its_uses() -> Result<()> {
    for (name, is_shared) in
        names()?.into_iter().flat_map(|name| [(name.clone(), false), (name, true)])
    {
        let (tensors, architecture) = golden(&name)?;
        let graph = if is_shared { shared } else { graph }(&tensors, &architecture)?;
        let mut made: HashSet<&str> = HashSet::from([""]);
        let initializers = graph.initializers().iter().map(|i| i.name.as_str());
        for value in initializers.chain(graph.inputs().iter().map(|input| input.name.as_str())) {
            assert!(made.insert(value), "{value} twice");
        }
        let mut used = HashSet::new();
        for node in graph.nodes() {
            for input in &node.inputs {
                assert!(made.contains(input.as_str()), "{}: {input}", node.name);
                used.insert(input.as_str());
            }
            for output in &node.outputs {
                assert!(made.insert(output), "{output} twice");
            }
        }
        let unused: Vec<_> = made.difference(&used).filter(|name| !name.is_empty()).collect();
        assert_eq!(unused, [&"latent"]);
    }
    Ok(())
}

#[test]
fn constants_are_few_and_small() -> Result<()> {
    let (tensors, architecture) = golden("sdxl")?;
    let graph = graph(&tensors, &architecture)?;
    let constants: Vec<_> = graph
        .initializers()
        .iter()
        .filter_map(|initializer| match &initializer.data {
            Data::Inline(bytes) => Some((initializer.name.as_str(), bytes.len())),
            Data::External { .. } => None,
        })
        .collect();
    assert!(constants.iter().all(|(name, _)| name.starts_with("constant.")), "{constants:?}");
    assert!(constants.len() <= 16, "{constants:?}");
    assert!(constants.iter().map(|(_, size)| size).sum::<usize>() <= 4096, "{constants:?}");
    Ok(())
}

#[test]
fn a_middle_block_may_lack_its_transformer() -> Result<()> {
    let (tensors, architecture) = golden("sdxl")?;
    let pruned = without(&without(&tensors, "middle_block.1."), "middle_block.2.");
    let graph = graph(&pruned, &architecture)?;
    assert!(graph.nodes().iter().all(|node| !node.name.starts_with("middle_block.1")));
    Ok(())
}

#[test]
fn unclip_takes_an_image_embedding() -> Result<()> {
    let (mut tensors, _) = golden("sd2")?;
    let (kind, heads) = (Kind::Sd2Unclip, Heads::Width(64));
    let y_width = Some(1536);
    let architecture = Architecture { kind, in_channels: 4, context_width: 1024, y_width, heads };
    for (layer, inputs) in [(0, 1536), (2, 256)] {
        tensors.push(tensor(&format!("label_emb.0.{layer}.weight"), &[256, inputs]));
        tensors.push(tensor(&format!("label_emb.0.{layer}.bias"), &[256]));
    }
    let graph = graph(&tensors, &architecture)?;
    assert_eq!(graph.inputs().last().map(|input| input.name.as_str()), Some("y"));
    Ok(())
}

#[test]
fn sd1_has_these_operators() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let graph = graph(&tensors, &architecture)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for node in graph.nodes() {
        *counts.entry(node.operator).or_default() += 1;
    }
    let wanted = BTreeMap::from([
        ("Add", 108),
        // The timestep embedding (1), then casts to fp32 and back: for each gate (2), softmax (2),
        // self-attention product (3) and normalization (4).
        ("Cast", 1 + 16 * 2 + 32 * 2 + 16 * 3 + 109 * 4),
        ("Concat", 15),
        ("Conv", 97),
        ("Cos", 1),
        ("Gelu", 16),
        ("Gemm", 184),
        ("GroupNormalization", 61),
        ("LayerNormalization", 48),
        ("MatMul", 64),
        ("Mul", 96),
        ("Reshape", 184),
        ("Resize", 3),
        ("Shape", 20),
        ("Sigmoid", 47),
        ("Sin", 1),
        ("Slice", 3),
        ("Softmax", 32),
        ("Split", 16),
        ("Transpose", 160),
    ]);
    assert_eq!(counts, wanted);
    Ok(())
}

#[test]
fn the_onnx_file_of_a_full_size_model_is_small() -> Result<()> {
    for manifest in [full_size_sd15(0), full_size_sdxl(0)] {
        let tensors = tensors(&manifest);
        let graph = graph(&tensors, &Architecture::of(&tensors)?)?;
        let size = graph.to_onnx("model.safetensors").len();
        println!("{}: {size} bytes, {} nodes", manifest.name, graph.nodes().len());
        assert!(size <= 4 << 20, "{size}");
    }
    Ok(())
}

#[test]
fn precision_parses_what_it_prints() -> Result<()> {
    for precision in [Precision::Fp16, Precision::Fp32] {
        assert_eq!(precision.to_string().parse::<Precision>()?, precision);
    }
    assert!("bf16".parse::<Precision>().is_err());
    Ok(())
}
