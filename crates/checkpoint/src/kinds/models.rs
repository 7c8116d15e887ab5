//! Models other than Stable Diffusion 1, 2 and XL, those with more marks before those with fewer.

use super::{KIND, OtherKind};

const COMFY: &str = "ComfyUI 0.33, comfy/model_detection.py detect_unet_config";
const SUPPORTED: &str = "ComfyUI 0.33, comfy/supported_models.py";
const DIFFUSERS: &str = "diffusers 0.42.1, src/diffusers/models/transformers";
const UNETS: &str = "diffusers 0.42.1, src/diffusers/models/unets";

const NO_UNET: &str = "it has no Stable Diffusion UNet, so it is not supported; front ends that know it run it without engines";
const OTHER_UNET: &str = "its UNet computes more than Stable Diffusion's, so it is not supported; front ends that know it run it without engines";

/// A model with all of these marks.
const fn all(name: &'static str, all: &'static [&'static str], source: &'static str) -> OtherKind {
    OtherKind { name, advice: NO_UNET, all, source, ..KIND }
}

/// A model with one of these marks.
const fn any(name: &'static str, any: &'static [&'static str], source: &'static str) -> OtherKind {
    OtherKind { name, advice: NO_UNET, any, source, ..KIND }
}

/// The same with a tensor of a certain shape.
const fn shaped(kind: OtherKind, tensor: &'static str, fits: fn(&[u64]) -> bool) -> OtherKind {
    OtherKind { shape: Some((tensor, fits)), ..kind }
}

/// The same with a UNet.
const fn unet(kind: OtherKind) -> OtherKind {
    OtherKind { advice: OTHER_UNET, ..kind }
}

fn is_wide<const WIDTH: u64>(shape: &[u64]) -> bool {
    shape.get(1) == Some(&WIDTH)
}

fn is_long<const LENGTH: u64>(shape: &[u64]) -> bool {
    shape.first() == Some(&LENGTH)
}

fn is_flat(shape: &[u64]) -> bool {
    shape.len() == 4
}

const SVD: &[&str] =
    &[".time_stack.", ".time_mixer.", ".temporal_transformer_blocks.", ".temporal_res_block."];
const LABEL: &str = "label_emb.0.0.weight";
const FLUX: &[&str] = &["^double_blocks.", "^single_blocks.", "^single_transformer_blocks."];
const IMAGE_IN: &str = "img_in.weight";

pub(super) static KINDS: &[OtherKind] = &[
    // UNets.
    unet(shaped(
        any("SV3D (u), which turns an object into a video", SVD, SUPPORTED),
        LABEL,
        is_wide::<256>,
    )),
    unet(shaped(
        any("SV3D (p), which turns an object into a video", SVD, SUPPORTED),
        LABEL,
        is_wide::<1280>,
    )),
    unet(any("Stable Video Diffusion", SVD, COMFY)),
    unet(any("the x4 upscaler of Stable Diffusion 2", &["^low_scale_model."], SUPPORTED)),
    unet(shaped(
        any("the x4 upscaler of Stable Diffusion 2", &["^label_emb.weight$"], SUPPORTED),
        "label_emb.weight",
        is_long::<1000>,
    )),
    unet(shaped(
        any("the x4 upscaler of Stable Diffusion 2", &["^class_embedding.weight$"], UNETS),
        "class_embedding.weight",
        is_long::<1000>,
    )),
    unet(any(
        "DeepFloyd IF",
        &["^encoder_pooling.", "^add_embedding.pool.", "^add_embedding.norm1."],
        UNETS,
    )),
    unet(shaped(any("Kolors", &["^label_emb."], SUPPORTED), LABEL, is_wide::<5632>)),
    unet(shaped(
        any("Kolors", &["^add_embedding."], UNETS),
        "add_embedding.linear_1.weight",
        is_wide::<5632>,
    )),
    unet(shaped(
        any("Kolors", &["^encoder_hid_proj."], UNETS),
        "encoder_hid_proj.weight",
        is_wide::<4096>,
    )),
    unet(any("Kandinsky 2", &["^add_embedding.image_", "^encoder_hid_proj.image_"], UNETS)),
    // Stable Cascade and its predecessor.
    any(
        "Stable Cascade, stage C",
        &["^clip_txt_mapper.", "^clip_txt_pooled_mapper.", "^clip_img_mapper."],
        COMFY,
    ),
    any("Stable Cascade, stage B", &["^effnet_mapper.", "^pixels_mapper."], COMFY),
    any(
        "Würstchen 2",
        &["^effnet_mappers.", "^cond_mapper."],
        "diffusers 0.42.1, pipelines/wuerstchen",
    ),
    any("Stable Cascade", &["^clf.1.weight$", ".channelwise.0."], COMFY),
    // Video and audio.
    shaped(
        any("HunyuanImage 2.1", &["^txt_in.individual_token_refiner."], COMFY),
        "img_in.proj.weight",
        is_flat,
    ),
    any(
        "HunyuanVideo",
        &["^txt_in.individual_token_refiner.", "^context_embedder.token_refiner."],
        COMFY,
    ),
    any("Wan VACE", &["^vace_patch_embedding.", "^vace_blocks."], COMFY),
    any("Wan", &["^head.modulation$", "^condition_embedder.time_embedder."], COMFY),
    any("Cosmos", &["^blocks.block0."], COMFY),
    any("Anima", &["^llm_adapter."], COMFY),
    all("Cosmos Predict 2", &["^x_embedder.proj.1.", "^blocks.0.mlp.layer1."], COMFY),
    any("Mochi", &["^t5_yproj."], COMFY),
    any("CogVideoX", &["^patch_embed.text_proj.", "^blocks.0.norm1.linear."], COMFY),
    any("SeedVR 2", &[".mlp.vid.proj_in", ".mlp.all.proj_in"], COMFY),
    any("Stable Audio", &["^rotary_pos_emb.inv_freq$", "^to_timestep_embed."], COMFY),
    any("ACE-Step", &["^genre_embedder.", "^encoder.lyric_encoder.", "^lyric_encoder."], COMFY),
    any("Hunyuan3D", &["^latent_in.weight$", "^blocks.0.attn1.k_norm."], COMFY),
    any("Kandinsky 5", &["^visual_transformer_blocks."], COMFY),
    // Transformers that have a patch embedding as Stable Diffusion 3 has.
    all("PixArt-α", &["^t_block.", "^ar_embedder."], COMFY),
    any("PixArt-Σ", &["^t_block."], COMFY),
    all("PixArt", &["^adaln_single.", "^pos_embed.proj."], COMFY),
    any("LTX-Video", &["^adaln_single.", "^patchify_proj."], COMFY),
    any("HunyuanDiT", &["^mlp_t5.", "^time_extra_emb."], COMFY),
    any(
        "Sana",
        &[".inverted_conv.", ".conv_inverted.", "^attention_y_norm."],
        "NVlabs/Sana; diffusers sana_transformer.py",
    ),
    any("HiDream", &["^caption_projection.0.linear.", "^double_stream_blocks."], COMFY),
    any("OmniGen 2", &["^time_caption_embed.", "^ref_image_refiner."], COMFY),
    any("OmniGen", &["^llm.layers.", "^time_token."], "diffusers 0.42.1, transformer_omnigen.py"),
    shaped(all("Z-Image", &["^cap_embedder.1."], COMFY), "cap_embedder.1.weight", is_long::<3840>),
    any(
        "Z-Image",
        &["^all_x_embedder.", "^all_final_layer."],
        "diffusers 0.42.1, transformer_z_image.py",
    ),
    any("Lumina 2", &["^cap_embedder."], COMFY),
    any("AuraFlow", &["^double_layers.", "^joint_transformer_blocks."], COMFY),
    any("Qwen-Image", &["^txt_norm.", ".img_mlp.net."], COMFY),
    all("Stable Diffusion 3.5 Medium", &["^joint_blocks.", ".x_block.attn2."], COMFY),
    all("Stable Diffusion 3.5", &["^joint_blocks.", ".attn.ln_q."], COMFY),
    any("Stable Diffusion 3", &["^joint_blocks."], COMFY),
    // Flux and what was made of it.
    any("Flux.2", &["^double_stream_modulation_img."], COMFY),
    any("Chroma Radiance", &["^nerf_blocks."], COMFY),
    any("Chroma", &["^distilled_guidance_layer."], COMFY),
    all("Ovis-Image", &["^double_blocks.", ".img_mlp.gate_proj."], COMFY),
    shaped(any("Flux.1 Fill", FLUX, COMFY), IMAGE_IN, is_wide::<384>),
    shaped(any("Flux.1 Fill", FLUX, DIFFUSERS), "x_embedder.weight", is_wide::<384>),
    shaped(any("Flux.1 Depth or Canny", FLUX, COMFY), IMAGE_IN, is_wide::<128>),
    shaped(any("Flux.1 Depth or Canny", FLUX, DIFFUSERS), "x_embedder.weight", is_wide::<128>),
    all("Flux.1 dev, Kontext or Krea", &["^double_blocks.", "^guidance_in."], COMFY),
    all("Flux.1 schnell", &["^double_blocks.", "^img_in."], COMFY),
    any("Flux", FLUX, COMFY),
    any("Stable Diffusion 3", &[".attn.add_q_proj."], DIFFUSERS),
    any("Ernie-Image", &["^layers.0.mlp.linear_fc2."], COMFY),
    any(
        "a class-conditional DiT",
        &["^y_embedder.embedding_table."],
        "facebookresearch/DiT, models.py",
    ),
    any(
        "a diffusion transformer of a kind that sdtrt does not know",
        &["^x_embedder.", "^transformer_blocks.0."],
        COMFY,
    ),
    OtherKind {
        name: "a UNet with diffusers' tensor names that front ends cannot convert",
        advice: "convert its whole folder to the original layout (diffusers' convert_diffusers_to_original_*.py)",
        any: &["^down_blocks.", "^up_blocks.", "^mid_block."],
        source: UNETS,
        ..KIND
    },
];
