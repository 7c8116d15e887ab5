//! Tensors among a UNet's that are no parameters of it: those that front ends drop, and those of a UNet that
//! computes something else.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use crate::{
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// What the names of a UNet's modules start with.
const MODULES: [&str; 6] =
    ["input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out."];

/// Tensors that front ends drop, by their names' first and last parts.
const DROPPED: [(&str, &str); 9] = [
    // LCM's embedding of the guidance scale, which diffusers' own conversion leaves under either name. It is applied
    // only where a caller gives the scale, and front ends never do.
    ("time_embed", ".cond_proj.weight"),
    ("time_embed", ".cond_proj.bias"),
    // What bitsandbytes leaves beside a weight; ComfyUI's scales are set aside before.
    ("", ".absmax"),
    ("", ".quant_map"),
    ("", ".nested_absmax"),
    ("", ".nested_quant_map"),
    ("", ".quant_state.bitsandbytes__nf4"),
    ("", ".quant_state.bitsandbytes__fp4"),
    ("", ".SCB"),
];

/// Parts of names, and what computes with such tensors.
const OTHERS: [(&str, &str); 19] = [
    ("time_stack.", TEMPORAL),
    ("time_mixer.", TEMPORAL),
    ("time_pos_embed.", TEMPORAL),
    ("temporal", TEMPORAL),
    ("temopral", TEMPORAL),
    ("temp_convs.", TEMPORAL),
    ("temp_attentions.", TEMPORAL),
    ("motion_module", TEMPORAL),
    ("transformer_in.", TEMPORAL),
    (".fuser.", GLIGEN),
    ("position_net.", GLIGEN),
    ("to_k_ip", IP_ADAPTER),
    ("to_v_ip", IP_ADAPTER),
    ("ip_adapter", IP_ADAPTER),
    ("image_proj", IP_ADAPTER),
    (".add_k_proj.", ADDED),
    ("encoder_hid_proj.", ADDED),
    (".lora_", LORA),
    (".hada_w", LORA),
];

/// The same parts as one automaton.
static PARTS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::new(OTHERS.map(|(part, _)| part)).ok());

const TEMPORAL: &str = "temporal layers, as video models have";
const GLIGEN: &str = "GLIGEN's layers";
const IP_ADAPTER: &str = "an IP-Adapter's layers";
const ADDED: &str = "another attention's layers, as Kandinsky and DeepFloyd IF have";
const LORA: &str = "a LoRA's layers";

/// Whether it is among the UNet's tensors but no parameter, so that front ends drop it when they load the UNet.
///
/// Besides known names, that is a marker: a single value, or none, in none of the UNet's modules.
pub fn is_dropped(tensor: &Tensor) -> bool {
    let Some(name) = tensor.name.strip_prefix(UNET_PREFIX) else { return false };
    let is_known =
        DROPPED.iter().any(|(first, last)| name.starts_with(first) && name.ends_with(last));
    let is_single = || tensor.shape.iter().all(|size| *size <= 1) || tensor.shape.contains(&0);
    is_known || is_single() && !MODULES.iter().any(|module| name.starts_with(module))
}

/// Refuses what has more than a Stable Diffusion UNet, and what its UNet alone does not tell.
pub(crate) fn check(tensors: &[Tensor]) -> Result<(), Rejection> {
    for Tensor { name, .. } in tensors {
        if name == "cc_projection.weight" {
            return Err(Rejection::Zero123);
        }
        let Some(inner) = name.strip_prefix(UNET_PREFIX) else { continue };
        // A look for all parts at once, as nearly no name has one.
        if PARTS.as_ref().is_some_and(|parts| !parts.is_match(inner)) {
            continue;
        }
        if let Some((_, what)) = OTHERS.iter().find(|(part, _)| inner.contains(part)) {
            return Err(Rejection::OtherUnet { what, tensor: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    fn tensor(name: &str, shape: &[u64]) -> Tensor {
        let name = name.to_owned();
        Tensor { name, dtype: Dtype::F16, shape: shape.to_vec(), offset: 0, bytes: 0 }
    }

    #[test]
    fn what_no_unet_uses_is_dropped() {
        for (name, shape, expected) in [
            ("time_embed.cond_proj.weight", &[320, 256][..], true),
            ("time_embedding.cond_proj.weight", &[320, 256], true),
            ("input_blocks.1.1.proj_in.SCB", &[320], true),
            ("input_blocks.1.1.proj_in.weight.absmax", &[400], true),
            ("edm_vpred.sigma_max", &[], true),
            ("v_pred", &[0], true),
            ("step", &[1, 1], true),
            ("time_embed.0.weight", &[1280, 320], false),
            ("time_embed.2.bias", &[1], false),
            ("out.2.bias", &[1], false),
            ("input_blocks.1.0.gate", &[], false),
            ("x_embedder.proj.weight", &[32, 32], false),
        ] {
            let found = is_dropped(&tensor(&format!("{UNET_PREFIX}{name}"), shape));
            assert_eq!(found, expected, "{name}");
        }
        assert!(!is_dropped(&tensor("v_pred", &[0])), "it is not among the UNet's");
    }

    #[test]
    fn what_changes_the_arithmetic_is_refused_by_name() {
        let block = "input_blocks.1.1.transformer_blocks.0";
        for (name, what) in [
            ("input_blocks.1.1.time_stack.0.norm1.weight".to_owned(), TEMPORAL),
            ("input_blocks.1.1.time_mixer.mix_factor".to_owned(), TEMPORAL),
            ("input_blocks.1.2.temporal_transformer.norm.weight".to_owned(), TEMPORAL),
            ("down_blocks.0.motion_modules.0.proj_in.weight".to_owned(), TEMPORAL),
            (format!("{block}.fuser.linear.weight"), GLIGEN),
            ("position_net.linears.0.weight".to_owned(), GLIGEN),
            (format!("{block}.attn2.processor.to_k_ip.weight"), IP_ADAPTER),
            (format!("{block}.attn1.add_k_proj.weight"), ADDED),
            (format!("{block}.attn1.to_q.lora_A.weight"), LORA),
        ] {
            let name = format!("{UNET_PREFIX}{name}");
            match check(&[tensor(&name, &[8])]) {
                Err(Rejection::OtherUnet { what: found, tensor }) => {
                    assert_eq!((found, tensor), (what, name));
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let elsewhere = ["control_model.temporal.weight", "model_ema.time_stack.weight"];
        assert!(check(&elsewhere.map(|name| tensor(name, &[8]))).is_ok());
        let zero123 = check(&[tensor("cc_projection.weight", &[768, 772])]);
        assert!(matches!(zero123, Err(Rejection::Zero123)));
    }
}
