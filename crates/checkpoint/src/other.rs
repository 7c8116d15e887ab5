//! Recognizes files that are not checkpoints.

use crate::{
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// Says what the tensors are; `None` if they look like a UNet after all.
pub(crate) fn what_it_is(tensors: &[Tensor]) -> Option<Rejection> {
    let all = |test: fn(&str) -> bool| tensors.iter().all(|tensor| test(&tensor.name));
    let any = |test: fn(&str) -> bool| tensors.iter().any(|tensor| test(&tensor.name));
    let inner = |test: fn(&str) -> bool| tensors.iter().any(|tensor| test(strip(&tensor.name)));
    Some(if any(lora) {
        Rejection::Lora
    } else if inner(control_net) {
        Rejection::ControlNet
    } else if inner(sd3) {
        Rejection::Sd3
    } else if inner(flux) {
        Rejection::Flux
    } else if inner(diffusers) {
        Rejection::Diffusers
    } else if all(embedding) {
        Rejection::Embedding
    } else if all(vae) {
        Rejection::Vae
    } else if all(text_encoder) {
        Rejection::TextEncoder
    } else if any(|name| name.starts_with("model.diffusion_model.input_blocks.")) {
        return None;
    } else {
        Rejection::NoUnet
    })
}

/// Strips the prefixes that different programs give a diffusion model.
fn strip(name: &str) -> &str {
    let prefixes = [UNET_PREFIX, "unet.", "model.", "transformer."];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}

fn starts(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// LoRA, LoHa, LoKr, OFT, IA3 and similar.
fn lora(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        ".lora_up.",
        ".lora_down.",
        ".lora_A.",
        ".lora_B.",
        ".hada_w",
        ".lokr_w",
        ".oft_",
        ".on_input",
    ];
    starts(name, &["lora_unet_", "lora_te", "lora_transformer_", "lycoris_", "oft_unet_"])
        || PARTS.iter().any(|part| name.contains(part))
}

fn control_net(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "control_model.",
        "zero_convs.",
        "input_hint_block.",
        "controlnet_",
        "controlnet.",
        "middle_block_out.",
    ];
    starts(name, &PREFIXES)
}

fn sd3(name: &str) -> bool {
    starts(name, &["joint_blocks.", "x_embedder.proj."])
}

fn flux(name: &str) -> bool {
    starts(name, &["double_blocks.", "single_blocks.", "single_transformer_blocks."])
}

fn diffusers(name: &str) -> bool {
    starts(name, &["down_blocks.", "up_blocks.", "mid_block."])
}

fn embedding(name: &str) -> bool {
    ["emb_params", "clip_l", "clip_g"].contains(&name) || name.starts_with("string_to_param")
}

fn vae(name: &str) -> bool {
    const PREFIXES: [&str; 6] =
        ["first_stage_model.", "encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "loss."];
    // T5's encoder is a text encoder.
    starts(name, &PREFIXES) && !name.starts_with("encoder.block.")
}

fn text_encoder(name: &str) -> bool {
    const PREFIXES: [&str; 8] = [
        "cond_stage_model.",
        "conditioner.",
        "text_model.",
        "text_encoder",
        "transformer.",
        "encoder.",
        "text_projection",
        "logit_scale",
    ];
    starts(name, &PREFIXES) || ["shared.weight", "spiece_model"].contains(&name)
}
