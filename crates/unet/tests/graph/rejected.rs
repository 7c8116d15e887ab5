//! Tensors that are not a UNet.

use anyhow::{Context, Result};
use checkpoint::{Dtype, Heads, Tensor, UNET_PREFIX};
use unet::{Error, Graph};

use super::{golden, graph, is_unet, shared, tensor, without};

#[test]
fn a_missing_tensor_is_named() -> Result<()> {
    for name in ["sd1", "sdxl"] {
        let (tensors, architecture) = golden(name)?;
        for tensor in tensors.iter().filter(is_unet) {
            let rest: Vec<_> = tensors.iter().filter(|t| *t != tensor).cloned().collect();
            let error = Error::Missing { name: tensor.name.clone() };
            assert_eq!(graph(&rest, &architecture), Err(error.clone()));
            assert_eq!(shared(&rest, &architecture), Err(error));
        }
    }
    Ok(())
}

#[test]
fn a_misshapen_tensor_is_named() -> Result<()> {
    for golden_name in ["sd1", "sdxl"] {
        let (mut tensors, architecture) = golden(golden_name)?;
        for index in 0..tensors.len() {
            let wanted = tensors[index].shape.clone();
            if !is_unet(&&tensors[index]) {
                continue;
            }
            *tensors[index].shape.last_mut().context("a scalar")? += 1;
            let (name, found) = (tensors[index].name.clone(), tensors[index].shape.clone());
            let error = Error::Shape { name, found, wanted: wanted.clone() };
            assert_eq!(graph(&tensors, &architecture), Err(error));
            tensors[index].shape = wanted;
        }
    }
    Ok(())
}

#[test]
fn a_missing_block_is_named() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let name = format!("{UNET_PREFIX}output_blocks.11.0.in_layers.0.weight");
    let found = graph(&without(&tensors, "output_blocks.11."), &architecture);
    assert_eq!(found, Err(Error::Missing { name }));
    Ok(())
}

#[test]
fn unused_tensors_are_an_error() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let extras = [
        "input_blocks.13.0.op.weight",
        "input_blocks.1.3.in_layers.0.weight",
        "input_blocks.1.0.in_layers.9.weight",
        "input_blocks.1.1.transformer_blocks.0.attn1.to_q.bias",
        "output_blocks.12.0.in_layers.0.weight",
        "middle_block.0.lora_down.weight",
        "label_emb.0.0.weight",
        "x_embedder.proj.weight",
    ];
    for extra in extras {
        let more = [tensors.clone(), vec![tensor(extra, &[32, 32])]].concat();
        let error = Error::Unexpected { name: format!("{UNET_PREFIX}{extra}"), count: 1 };
        assert_eq!(graph(&more, &architecture), Err(error));
    }
    let mut elsewhere = tensors;
    elsewhere.push(Tensor { name: "model_ema.decay".to_owned(), ..tensor("", &[]) });
    assert!(graph(&elsewhere, &architecture).is_ok());
    Ok(())
}

/// Front ends drop them.
#[test]
fn what_no_unet_uses_is_left_out() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let (plain, with_weights) = (shared(&tensors, &architecture)?, graph(&tensors, &architecture)?);
    let more = [
        tensor("time_embed.cond_proj.weight", &[32, 256]),
        tensor("time_embedding.cond_proj.weight", &[32, 256]),
        tensor("input_blocks.1.1.proj_in.weight.absmax", &[5]),
        tensor("v_pred", &[0]),
    ];
    let more = [tensors.as_slice(), &more].concat();
    assert_eq!(shared(&more, &architecture)?, plain);
    assert_eq!(graph(&more, &architecture)?, with_weights);
    Ok(())
}

#[test]
fn a_size_that_is_halved_must_be_doubled() -> Result<()> {
    let (tensors, architecture) = golden("sd1")?;
    let name = format!("{UNET_PREFIX}output_blocks.2.2.conv.weight");
    let less = without(&tensors, "output_blocks.2.1.conv.");
    let error = Error::Missing { name };
    assert!(less.len() < tensors.len());
    assert_eq!(shared(&less, &architecture), Err(error.clone()));
    assert_eq!(Graph::check(&architecture, &less), Err(error));
    assert_eq!(Graph::check(&architecture, &tensors), Ok(()));
    Ok(())
}

#[test]
fn only_floating_point_weights_are_supported() -> Result<()> {
    let (mut tensors, architecture) = golden("sd1")?;
    let index = tensors.iter().position(|tensor| is_unet(&tensor)).context("no UNet")?;
    let dtype = Dtype::F8E4M3;
    tensors[index].dtype = dtype;
    let name = tensors[index].name.clone();
    assert_eq!(graph(&tensors, &architecture), Err(Error::Dtype { name, dtype }));
    Ok(())
}

#[test]
fn heads_must_divide_the_channels() -> Result<()> {
    let (tensors, mut architecture) = golden("sd1")?;
    architecture.heads = Heads::Count(7);
    let name = format!("{UNET_PREFIX}input_blocks.1.1.transformer_blocks.0.attn1");
    let error = Error::Indivisible { name, channels: 32, divisor: 7 };
    assert_eq!(graph(&tensors, &architecture), Err(error));
    Ok(())
}
