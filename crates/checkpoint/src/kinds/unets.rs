//! Models with a UNet that computes more than Stable Diffusion's, or something else.

use super::{
    KIND, OtherKind,
    row::{any, is_long, is_wide, shaped},
};

const SUPPORTED: &str = "ComfyUI 0.33, comfy/supported_models.py";
const UNETS: &str = "diffusers 0.42.1, src/diffusers/models/unets";

const ADVICE: &str = "its UNet computes more than Stable Diffusion's, so it is not supported; front ends that know it run it without engines";

/// A row of this table.
const fn unet(kind: OtherKind) -> OtherKind {
    OtherKind { advice: ADVICE, ..kind }
}

const SVD: &[&str] =
    &[".time_stack.", ".time_mixer.", ".temporal_transformer_blocks.", ".temporal_res_block."];
const LABEL: &str = "label_emb.0.0.weight";
const UPSCALER: &str = "the x4 upscaler of Stable Diffusion 2";

/// What has no mark but what it lacks: attention to a text.
pub(super) static NO_TEXT: OtherKind = OtherKind {
    name: "a UNet that takes no text, as LDSR and unconditional models have",
    advice: "it is not supported; LDSR belongs in models/LDSR",
    source: UNETS,
    ..KIND
};

pub(super) static KINDS: &[OtherKind] = &[
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
    unet(any("Stable Video Diffusion", SVD, SUPPORTED)),
    unet(any("AnimateDiff's UNet with its motion module inside", &[".motion_modules."], UNETS)),
    unet(any(
        "I2VGen-XL, which turns a picture into a video",
        &["^image_latents_proj_in.", "^image_latents_context_embedding."],
        UNETS,
    )),
    unet(any(
        "a text-to-video UNet (ModelScope, ZeroScope)",
        &["^transformer_in.", ".temp_convs.", ".temopral_conv."],
        UNETS,
    )),
    unet(any(UPSCALER, &["^low_scale_model."], SUPPORTED)),
    unet(shaped(
        any(UPSCALER, &["^label_emb.weight$"], SUPPORTED),
        "label_emb.weight",
        is_long::<1000>,
    )),
    unet(shaped(
        any(UPSCALER, &["^class_embedding.weight$"], UNETS),
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
    unet(any("Kandinsky 3", &["^add_time_condition."], UNETS)),
    unet(any("Kandinsky 2", &["^add_embedding.image_", "^encoder_hid_proj.image_"], UNETS)),
    unet(any("SDPose, which finds poses", &["^heatmap_head."], SUPPORTED)),
    // Stable Cascade and its predecessor.
    any(
        "Stable Cascade, stage C",
        &["^clip_txt_mapper.", "^clip_txt_pooled_mapper.", "^clip_img_mapper."],
        SUPPORTED,
    ),
    any("Stable Cascade, stage B", &["^effnet_mapper.", "^pixels_mapper."], SUPPORTED),
    any(
        "Würstchen 2",
        &["^effnet_mappers.", "^cond_mapper."],
        "diffusers 0.42.1, pipelines/wuerstchen",
    ),
    any("Stable Cascade", &["^clf.1.weight$", ".channelwise.0."], SUPPORTED),
    any("aMUSEd", &["^mlm_layer.", "^embed.embeddings."], UNETS),
];

/// The last of all: a UNet of diffusers of which nothing else is known.
pub(super) static UNKNOWN: OtherKind = OtherKind {
    name: "a UNet with diffusers' tensor names that front ends cannot convert",
    advice: "convert its whole folder to the original layout (diffusers' convert_diffusers_to_original_*.py)",
    any: &["^down_blocks.", "^up_blocks.", "^mid_block."],
    source: UNETS,
    ..KIND
};
