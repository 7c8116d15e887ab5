//! Graphs with residuals, which is what ControlNets add, compute the same as the original UNet code does with them.

mod common;

use std::{collections::HashSet, fs};

use anyhow::{Context, Result, ensure};
use checkpoint::Checkpoint;
use common::{Golden, runtime::Runtime, tensors};
use goldens::{Array, Case, Manifest};
use safetensors::SafeTensors;
use unet::{Dimension, Graph, Input, Precision, Residual};

/// The largest relative errors, of an fp32 graph and of an fp16 one.
const BOUNDS: [(Precision, f64); 2] = [(Precision::Fp32, 1e-4), (Precision::Fp16, 2e-2)];

/// The goldens of those kinds for which there are ControlNets.
const GOLDENS: [&str; 6] = ["sd1", "sd1-inpaint", "sd2", "sd2-inpaint", "sdxl", "sdxl-inpaint"];

/// A golden's first case with residuals: noise, or zeros.
fn case(manifest: &Manifest, residuals: &[Residual], is_noise: bool) -> Case {
    let mut case = manifest.inputs().swap_remove(0);
    let sample: Vec<u64> = case["sample"].shape.iter().map(|size| *size as u64).collect();
    for residual in residuals {
        let shape: Vec<_> = residual.shape(&sample).iter().map(|size| *size as usize).collect();
        let mut array = manifest.input(0, &residual.name, &shape);
        if !is_noise {
            array.values.fill(0.0);
        }
        case.insert(residual.name.clone(), array);
    }
    case
}

/// What PyTorch computes with the original code for that noise.
fn expected(name: &str) -> Result<Array> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/residuals.safetensors");
    let bytes = fs::read(path).context(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let view = file.tensor(name)?;
    let values = view.data().as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
    Ok(Array { shape: view.shape().to_vec(), values: values.collect() })
}

#[test]
#[ignore = "needs ONNX Runtime: cargo xtask test"]
fn they_are_added_where_controlnet_adds_them_and_zeros_change_nothing() -> Result<()> {
    for name in GOLDENS {
        let golden = Golden::load(name)?;
        let Checkpoint { architecture, tensors, .. } = &golden.checkpoint;
        for (precision, bound) in BOUNDS {
            let run = |graph: &Graph, case: &Case| -> Result<Array> {
                let mut case = case.clone();
                if let Some(binding) = graph.binding() {
                    case.extend(golden.weights(binding)?);
                }
                Runtime::load(&golden.write(graph)?)?.run(&case)
            };
            let plain = Graph::new(architecture, tensors, precision)?;
            let plain = run(&plain, &golden.manifest.inputs()[0])?;
            for is_shared in [false, true] {
                let make =
                    if is_shared { Graph::shared_with_residuals } else { Graph::with_residuals };
                let graph = make(architecture, tensors, precision)?;
                let with =
                    |is_noise| run(&graph, &case(&golden.manifest, graph.residuals(), is_noise));
                let at = format!("{name} {precision}, shared {is_shared}");
                let zeros = with(false)?;
                if is_shared {
                    let error = zeros.relative_error(&plain);
                    ensure!(error <= bound, "{at}, zeros: {error:e}");
                } else {
                    assert_eq!(zeros, plain, "{at}");
                }
                let error = with(true)?.relative_error(&expected(name)?);
                println!("{at}: {error:.1e}");
                ensure!(error <= bound, "{at}: {error:e}");
                ensure!(zeros.relative_error(&expected(name)?) > 0.1, "{at}: nothing is added");
            }
        }
    }
    Ok(())
}

#[test]
fn a_graph_has_one_for_each_skip_and_one_for_the_middle() -> Result<()> {
    let found = |name: &str| -> Result<(Graph, Graph)> {
        let tensors = tensors(&Manifest::load(name)?);
        let architecture = checkpoint::Architecture::of(&tensors)?;
        let plain = Graph::shared(&architecture, &tensors, Precision::Fp16)?;
        assert!(plain.residuals().is_empty());
        Ok((plain, Graph::shared_with_residuals(&architecture, &tensors, Precision::Fp16)?))
    };
    let (_, sd1) = found("sd1")?;
    let rows = sd1.residuals().iter().map(|each| (&*each.name, each.channels, each.halvings));
    let expected = [
        ("residual.0", 32, 0),
        ("residual.1", 32, 0),
        ("residual.2", 32, 0),
        ("residual.3", 32, 1),
        ("residual.4", 64, 1),
        ("residual.5", 64, 1),
        ("residual.6", 64, 2),
        ("residual.7", 64, 2),
        ("residual.8", 64, 2),
        ("residual.9", 64, 3),
        ("residual.10", 64, 3),
        ("residual.11", 64, 3),
        ("residual.middle", 64, 3),
    ];
    assert!(rows.eq(expected), "{:?}", sd1.residuals());

    for name in GOLDENS {
        let (plain, graph) = found(name)?;
        let residuals = graph.residuals();
        let is_join = |name: &str| name.starts_with("output_blocks.") && name.ends_with("/Concat");
        let joins = plain.nodes().iter().filter(|node| is_join(&node.name)).count();
        assert_eq!(residuals.len(), joins + 1, "{name}");
        assert_eq!(graph.nodes().len(), plain.nodes().len() + residuals.len(), "{name}");
        assert_eq!(graph.binding(), plain.binding(), "{name}");
        let own: Vec<&Input> =
            graph.inputs().iter().filter(|input| !plain.inputs().contains(input)).collect();
        assert!(own.iter().map(|input| &input.name).eq(residuals.iter().map(|each| &each.name)));
        let used: HashSet<&str> =
            graph.nodes().iter().flat_map(|node| &node.inputs).map(String::as_str).collect();
        assert!(residuals.iter().all(|residual| used.contains(&*residual.name)), "{name}");
    }
    Ok(())
}

#[test]
fn their_sizes_follow_from_the_latents() -> Result<()> {
    let residual = |halvings| Residual { name: "residual.0".into(), channels: 7, halvings };
    for (halvings, sample, expected) in [
        (0, [2, 4, 64, 96], [2, 7, 64, 96]),
        (1, [2, 4, 64, 96], [2, 7, 32, 48]),
        (3, [1, 9, 65, 13], [1, 7, 9, 2]),
        (3, [1, 4, 1, 3], [1, 7, 1, 1]),
    ] {
        assert_eq!(residual(halvings).shape(&sample), expected, "{halvings} {sample:?}");
    }
    assert!(residual(0).shape(&[2, 77, 768]).is_empty());

    let tensors = tensors(&Manifest::load("sd1")?);
    let architecture = checkpoint::Architecture::of(&tensors)?;
    let graph = Graph::shared_with_residuals(&architecture, &tensors, Precision::Fp16)?;
    let dimensions = graph.dynamic_dimensions();
    let names: Vec<&str> = dimensions.iter().map(|(name, ..)| *name).collect();
    let expected = [
        "batch", "height", "width", "tokens", "height_2", "width_2", "height_4", "width_4",
        "height_8", "width_8",
    ];
    assert_eq!(names, expected);
    let fixed = graph.fixed("height_2", 32).fixed("batch", 2);
    let third = fixed.inputs().iter().find(|input| input.name == "residual.3");
    let third = third.map(|input| input.dimensions.clone()).unwrap_or_default();
    use Dimension::{Dynamic, Fixed};
    assert_eq!(third, [Fixed(2), Fixed(32), Fixed(32), Dynamic("width_2")]);
    Ok(())
}
