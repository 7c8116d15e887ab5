//! Models without a UNet, those with more marks before those with fewer.

use super::{
    OtherKind,
    row::{all, any, is_flat, is_long, is_wide, shaped},
};

const COMFY: &str = "ComfyUI 0.33, comfy/model_detection.py detect_unet_config";
const DIFFUSERS: &str = "diffusers 0.42.1, src/diffusers/models/transformers";

const FLUX: &[&str] = &["^double_blocks.", "^single_blocks.", "^single_transformer_blocks."];
const IMAGE_IN: &str = "img_in.weight";
const CONTEXT: &str = "context_embedder.weight";
/// Of Bria and of LongCat, which took Flux's blocks.
const BRIA: &[&str] =
    &["^time_embed.timestep_embedder.", "^context_embedder.", "^single_transformer_blocks."];

pub(super) static KINDS: &[OtherKind] = &[
    // Video, sound, objects and what is seen.
    any("MiniMax Music 3", &["^cond_layer_logits$"], COMFY),
    all("MiniMax H3", &["^video_patch_proj.", "^audio_patch_proj."], COMFY),
    all("MiniMax H3", &["^audio_proj_in.", "^token_refiner."], DIFFUSERS),
    any("Trellis 2", &["^img2shape.", "^shape2txt."], COMFY),
    any("HunyuanDiT", &["^mlp_t5.", "^time_extra_emb."], COMFY),
    shaped(
        any("HunyuanImage 2.1", &["^txt_in.individual_token_refiner."], COMFY),
        "img_in.proj.weight",
        is_flat,
    ),
    shaped(
        any("HunyuanImage 2.1", &["^context_embedder.token_refiner."], DIFFUSERS),
        "x_embedder.proj.weight",
        is_flat,
    ),
    any(
        "HunyuanVideo",
        &["^txt_in.individual_token_refiner.", "^context_embedder.token_refiner."],
        COMFY,
    ),
    any("Wan VACE", &["^vace_patch_embedding.", "^vace_blocks."], COMFY),
    all("JoyImage", &["^double_blocks.", "^condition_embedder.time_embedder."], COMFY),
    any("Wan", &["^head.modulation$", "^condition_embedder.time_embedder."], COMFY),
    any("Cosmos 3", &["^norm_moe_gen."], DIFFUSERS),
    any("Cosmos", &["^blocks.block0.", "^time_embed.t_embedder."], COMFY),
    any("Anima", &["^llm_adapter."], COMFY),
    all("Cosmos Predict 2", &["^x_embedder.proj.1.", "^blocks.0.mlp.layer1."], COMFY),
    any("Mochi", &["^t5_yproj.", "^time_embed.pooler."], COMFY),
    any("GLM-Image", &["^glyph_projector."], DIFFUSERS),
    any("CogView", &["^time_condition_embed."], DIFFUSERS),
    any("ConsisID", &["^local_facial_extractor."], DIFFUSERS),
    any("CogVideoX", &["^patch_embed.text_proj.", "^blocks.0.norm1.linear."], COMFY),
    any("SeedVR 2", &[".mlp.vid.proj_in", ".mlp.all.proj_in"], COMFY),
    any("Stable Audio", &["^rotary_pos_emb.inv_freq$", "^to_timestep_embed."], COMFY),
    all("Stable Audio", &["^global_proj.", "^cross_attention_proj."], DIFFUSERS),
    any("ACE-Step", &["^genre_embedder.", "^encoder.lyric_encoder.", "^lyric_encoder."], COMFY),
    all("ACE-Step", &["^proj_in_conv.", "^time_embed_r."], DIFFUSERS),
    any("LongCat-AudioDiT", &["^latent_cond_embedder."], DIFFUSERS),
    any("Hunyuan3D", &["^latent_in.weight$", "^blocks.0.attn1.k_norm."], COMFY),
    all("TripoSplat", &["^cam_out_layer.", "^repo_layers."], COMFY),
    any(
        "Kandinsky 6",
        &["^video_text_transformer_blocks.", ".video_dec_block.", "^pooled_bias$"],
        DIFFUSERS,
    ),
    any("Kandinsky 5", &["^visual_transformer_blocks."], COMFY),
    any("a prior, which makes image embeddings for another model", &["^prd_embedding$"], DIFFUSERS),
    any(
        "a model that sees (SAM 3, RT-DETR, Depth Anything)",
        &["^detector.backbone.", "^encoder.pan_blocks.", "^backbone.embeddings.patch_embeddings."],
        COMFY,
    ),
    // Transformers that have a patch embedding as Stable Diffusion 3 has.
    any(
        "Sana",
        &[".inverted_conv.", ".conv_inverted.", "^attention_y_norm."],
        "NVlabs/Sana; diffusers sana_transformer.py",
    ),
    all("PixArt-α", &["^t_block.", "^ar_embedder."], COMFY),
    any("PixArt-Σ", &["^t_block."], COMFY),
    shaped(
        all("Allegro", &["^adaln_single.", "^pos_embed.proj."], DIFFUSERS),
        "pos_embed.proj.weight",
        is_long::<2304>,
    ),
    any("Latte", &["^temporal_transformer_blocks."], DIFFUSERS),
    all("PixArt", &["^adaln_single.", "^pos_embed.proj."], COMFY),
    any("LTX-2", &["^audio_adaln_single.", "^audio_scale_shift_table$"], COMFY),
    any("LTX-Video", &["^adaln_single.", "^patchify_proj."], COMFY),
    all("LTX-Video", &["^time_embed.emb.", "^proj_in."], DIFFUSERS),
    all("HiDream-O1", &["^t_embedder1.", "^x_embedder.proj1."], COMFY),
    all("Bria Fibo", &["^caption_projection.0.linear.", "^context_embedder."], DIFFUSERS),
    any("Bria Fibo", &["^perceiver.latent_queries$"], DIFFUSERS),
    any("HiDream", &["^caption_projection.0.linear.", "^double_stream_blocks."], COMFY),
    any("Boogu-Image", &["^double_stream_layers."], COMFY),
    any("OmniGen 2", &["^ref_image_refiner."], COMFY),
    any("OmniGen", &["^llm.layers.", "^time_token."], "diffusers 0.42.1, transformer_omnigen.py"),
    any("PiD, which decodes latents", &["^lq_proj."], COMFY),
    any("PixelDiT", &["^core.pixel_embedder.", "^pixel_embedder."], COMFY),
    any("Z-Image in pixels", &["^dec_net.cond_embed."], COMFY),
    shaped(all("Z-Image", &["^cap_embedder.1."], COMFY), "cap_embedder.1.weight", is_long::<3840>),
    any(
        "Z-Image",
        &["^all_x_embedder.", "^all_final_layer."],
        "diffusers 0.42.1, transformer_z_image.py",
    ),
    any("NewBie", &["^clip_text_pooled_proj."], COMFY),
    all("Lumina-Next", &["^time_caption_embed.", "^patch_embedder."], DIFFUSERS),
    any("Lumina 2", &["^cap_embedder.", "^time_caption_embed."], COMFY),
    any("AuraFlow", &["^double_layers.", "^joint_transformer_blocks."], COMFY),
    all("Lens", &[".attn.norm_added_q.", ".img_mlp.w1."], COMFY),
    shaped(any("Mage-Flow", &["^txt_norm."], COMFY), "txt_norm.weight", is_long::<2560>),
    all("Nucleus-Image", &["^txt_norm.", ".encoder_proj."], DIFFUSERS),
    // Its double blocks are Flux's.
    all("Ovis-Image", &["^double_blocks.", ".img_mlp.gate_proj."], COMFY),
    any("Ovis-Image", &["^context_embedder_norm."], DIFFUSERS),
    any("Qwen-Image", &["^txt_norm.", ".img_mlp.net.", "^txt_in.text_norm."], COMFY),
    any("Krea 2", &["^txtfusion.", "^text_fusion."], COMFY),
    any("Ideogram 4", &["^embed_image_indicator."], COMFY),
    any("PRX", &[".attention.img_qkv_proj."], DIFFUSERS),
    all("Stable Diffusion 3.5 Medium", &["^joint_blocks.", ".x_block.attn2."], COMFY),
    all("Stable Diffusion 3.5", &["^joint_blocks.", ".attn.ln_q."], COMFY),
    any("Stable Diffusion 3", &["^joint_blocks."], COMFY),
    // Flux and what was made of it.
    any("Flux.3", &["^early_stream_modulations."], DIFFUSERS),
    any("Flux.2", &["^double_stream_modulation_img."], COMFY),
    any("Chroma Radiance", &["^nerf_blocks."], COMFY),
    any("Chroma", &["^distilled_guidance_layer."], COMFY),
    shaped(all("LongCat-Image", BRIA, DIFFUSERS), CONTEXT, is_wide::<3584>),
    all("Bria", BRIA, DIFFUSERS),
    shaped(any("LongCat-Image", FLUX, COMFY), "txt_in.weight", is_wide::<3584>),
    all("Motif-Video", &["^single_transformer_blocks.", "^x_embedder.proj."], DIFFUSERS),
    shaped(any("Flux.1 Fill", FLUX, COMFY), IMAGE_IN, is_wide::<384>),
    shaped(any("Flux.1 Fill", FLUX, DIFFUSERS), "x_embedder.weight", is_wide::<384>),
    shaped(any("Flux.1 Depth or Canny", FLUX, COMFY), IMAGE_IN, is_wide::<128>),
    shaped(any("Flux.1 Depth or Canny", FLUX, DIFFUSERS), "x_embedder.weight", is_wide::<128>),
    all("Flux.1 dev, Kontext or Krea", &["^double_blocks.", "^guidance_in."], COMFY),
    all(
        "Flux.1 dev, Kontext or Krea",
        &["^single_transformer_blocks.", "^time_text_embed.guidance_embedder."],
        DIFFUSERS,
    ),
    all("Flux.1 schnell", &["^double_blocks.", "^img_in."], COMFY),
    all(
        "Flux.1 schnell",
        &["^single_transformer_blocks.", "^time_text_embed.text_embedder."],
        DIFFUSERS,
    ),
    any("Flux", FLUX, COMFY),
    any("Stable Diffusion 3", &[".attn.add_q_proj."], DIFFUSERS),
    any("Ernie-Image", &["^layers.0.mlp.linear_fc2.", "^layers.0.adaLN_sa_ln."], COMFY),
    any(
        "a class-conditional DiT",
        &["^y_embedder.embedding_table.", ".emb.class_embedder.embedding_table."],
        "facebookresearch/DiT, models.py",
    ),
    any(
        "a diffusion transformer of a kind that sdtrt does not know",
        &["^x_embedder.", "^transformer_blocks.0."],
        COMFY,
    ),
];
