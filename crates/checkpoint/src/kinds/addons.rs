//! What is used with a checkpoint, in the order in which it is looked for: a mark may be part of another's.

use super::{KIND, OtherKind};

const COMFY_LORA: &str = "ComfyUI 0.33, comfy/lora.py";
const COMFY_CONTROL: &str = "ComfyUI 0.33, comfy/controlnet.py";
const A1111_LORA: &str = "A1111 1.10.1, extensions-builtin/Lora";
const ANIMATEDIFF: &str = "AnimateDiff-Evolved, animatediff/motion_module_ad.py";

/// LoRA and LyCORIS in every notation that a front end reads.
const LORA_PARTS: &[&str] = &[
    ".lora_up.",
    ".lora_down.",
    ".lora_mid.",
    ".lora_A.",
    ".lora_B.",
    ".lora.up.",
    ".lora.down.",
    ".lora_linear_layer.",
    ".lora_layer.",
    ".lora_magnitude_vector",
    ".lora_embedding_",
    "_lora.up.",
    "_lora.down.",
    ".hada_w",
    ".lokr_w",
    ".oft_",
    ".boft_",
    ".on_input$",
    ".dora_scale$",
    "^lora_unet_",
    "^lora_te",
    "^lora_transformer_",
    "^lora_prior_",
    "^lycoris_",
    "^oft_unet_",
    "^#ss_network_module=",
    "/lora$",
];

const EMBEDDING: OtherKind = OtherKind {
    name: "a textual-inversion embedding, not a checkpoint",
    advice: "move it to embeddings",
    only: &[
        "^emb_params$",
        "^clip_l$",
        "^clip_g$",
        "^t5xxl$",
        "^string_to_param",
        "^string_to_token",
    ],
    source: "A1111 1.10.1, modules/textual_inversion; ComfyUI 0.33, comfy/sd1_clip.py",
    ..KIND
};

/// What a pickle says by its dictionary, which has no tensors' names.
pub(super) static EMBEDDING_FILE: OtherKind = EMBEDDING;

pub(super) static KINDS: &[OtherKind] = &[
    OtherKind {
        name: "a motion LoRA of AnimateDiff, not a checkpoint",
        advice: "move it to ComfyUI's models/animatediff_motion_lora",
        all: &[".motion_modules."],
        any: LORA_PARTS,
        source: ANIMATEDIFF,
        ..KIND
    },
    OtherKind {
        name: "a SparseCtrl, AnimateDiff's ControlNet, not a checkpoint",
        advice: "move it to ComfyUI's models/controlnet",
        all: &[".motion_modules.", "^controlnet_cond_embedding."],
        source: "AnimateDiff, animatediff/models/sparse_controlnet.py",
        ..KIND
    },
    OtherKind {
        name: "a motion module of AnimateDiff, not a checkpoint",
        advice: "move it to ComfyUI's models/animatediff_models, or to the folder of the web UI's AnimateDiff extension",
        any: &[".motion_modules.", "^motion_module.", ".temporal_attentions."],
        source: ANIMATEDIFF,
        ..KIND
    },
    OtherKind {
        name: "a LayerDiffuse patch, not a checkpoint",
        advice: "move it to the models/layer_model folder, where the LayerDiffuse extension looks for it",
        any: &["::lora::", "::diff::", "^hookers.layers.", "^kwargs_encoder."],
        source: "sd-forge-layerdiffuse; ldm_patched's load_frozen_patcher; ComfyUI-layerdiffuse, attention_sharing.py",
        ..KIND
    },
    OtherKind {
        name: "a ControlNet-LLLite, not a checkpoint",
        advice: "move it to models/ControlNet",
        any: &["^lllite_"],
        source: "sd-webui-controlnet, scripts/controlnet_lllite.py",
        ..KIND
    },
    OtherKind {
        name: "a PhotoMaker, not a checkpoint",
        advice: "move it to ComfyUI's models/photomaker",
        any: &["^id_encoder.", "^lora_weights."],
        source: "ComfyUI 0.33, comfy_extras/nodes_photomaker.py",
        ..KIND
    },
    OtherKind {
        name: "an IP-Adapter or InstantID, not a checkpoint",
        advice: "move it to ComfyUI's models/ipadapter, or to models/ControlNet for the web UI",
        any: &["^ip_adapter.", "^ip_adapter_proj_model.", ".to_k_ip.", "^image_proj.", "^pulid_"],
        source: "ComfyUI_IPAdapter_plus, IPAdapterPlus.py; sd-webui-controlnet",
        ..KIND
    },
    OtherKind {
        name: "a BrushNet, not a checkpoint",
        advice: "move it to ComfyUI's models/inpaint, where ComfyUI-BrushNet looks for it",
        any: &["^brushnet_", "^conv_in_condition."],
        source: "TencentARC/BrushNet, src/diffusers/models/brushnet.py",
        ..KIND
    },
    OtherKind {
        name: "a ControlNet, not a checkpoint",
        advice: "move it to models/ControlNet",
        any: &[
            "^control_model.",
            "^zero_convs.",
            "^input_hint_block.",
            "^controlnet_",
            "^controlnet.",
            "^middle_block_out.",
            "^lora_controlnet$",
            "^control_add_embedding.",
            "^control_blocks.",
            "/control-net$",
            "/controlnet$",
        ],
        source: COMFY_CONTROL,
        ..KIND
    },
    OtherKind {
        name: "a T2I-Adapter, not a checkpoint",
        advice: "move it to models/ControlNet",
        any: &[
            "^adapter.body.",
            "^body.0.in_conv.",
            "^body.0.block1.",
            "^body.0.body.0.block1.",
            "^body.0.resnets.",
        ],
        source: COMFY_CONTROL,
        ..KIND
    },
    OtherKind {
        name: "a LoRA in diffusers' old notation, not a checkpoint",
        advice: "move it to ComfyUI's models/loras: A1111 does not read this notation",
        any: &[
            ".processor.to_q_lora.",
            ".processor.to_k_lora.",
            ".processor.to_v_lora.",
            ".processor.to_out_lora.",
        ],
        source: COMFY_LORA,
        ..KIND
    },
    OtherKind {
        name: "a LoRA, not a checkpoint",
        advice: "move it to models/Lora",
        any: LORA_PARTS,
        source: A1111_LORA,
        ..KIND
    },
    OtherKind {
        name: "a LoRA of whole differences, not a checkpoint",
        advice: "move it to models/Lora",
        any: &[".diff$", ".diff_b$", ".set_weight$", ".w_norm$", ".b_norm$"],
        source: COMFY_LORA,
        ..KIND
    },
    OtherKind {
        name: "GLIGEN's layers for placing objects, not a checkpoint",
        advice: "move it to ComfyUI's models/gligen",
        any: &["^position_net.", ".fuser."],
        source: "ComfyUI 0.33, comfy/gligen.py",
        ..KIND
    },
    // The original of IC-Light; merged, or with the original layout's names, it is a UNet.
    OtherKind {
        name: "IC-Light's offsets for an SD 1.5 checkpoint, not a checkpoint",
        advice: "move it to ComfyUI's models/unet, where ComfyUI-IC-Light adds it to a checkpoint",
        all: &["^down_blocks.", "^conv_in."],
        shape: Some(("conv_in.weight", |shape| shape.get(1) == Some(&12))),
        source: "lllyasviel/IC-Light, gradio_demo_bg.py",
        ..KIND
    },
    OtherKind {
        name: "an image encoder (DINO), not a checkpoint",
        advice: "move it to ComfyUI's models/clip_vision",
        any: &["^embeddings.patch_embeddings."],
        source: "ComfyUI 0.33, comfy/clip_vision.py",
        ..KIND
    },
    OtherKind {
        name: "a text encoder of another model, not a checkpoint",
        advice: "move it to ComfyUI's models/text_encoders",
        any: &[
            "^encoder.layers.0.mixer.",
            "^encoder.layers.0.pre_self_attn_layernorm.",
            "^encoder.layer.0.attention.self.",
        ],
        source: "ComfyUI 0.33, comfy/sd.py detect_te_model",
        ..KIND
    },
    OtherKind {
        name: "a T5 text encoder, not a checkpoint",
        advice: "move it to ComfyUI's models/text_encoders",
        only: &[
            "^encoder.",
            "^shared.",
            "^spiece_model$",
            "^scaled_fp8$",
            "^decoder.embed_tokens.",
            "^logit_scale$",
        ],
        all: &["^encoder.block."],
        source: "ComfyUI 0.33, comfy/sd.py detect_te_model",
        ..KIND
    },
    EMBEDDING,
    OtherKind {
        name: "a VAE, not a checkpoint",
        advice: "move it to models/VAE",
        only: &[
            "^first_stage_model.",
            "^encoder.",
            "^decoder.",
            "^quant_conv.",
            "^post_quant_conv.",
            "^loss.",
            "^model_ema.",
            "^vae.",
            "^taesd_",
            "^vquantizer.",
            "^bn.",
            "^conv1.",
            "^conv2.",
            "^post_quant.",
            "^per_channel_statistics.",
            "^latents_mean$",
            "^latents_std$",
            "^quantize.",
            "^bottleneck.",
            "^decoder_unet.",
            "^mel_converter.",
            "^vocoder.",
        ],
        source: "ComfyUI 0.33, comfy/sd.py VAE",
        ..KIND
    },
    OtherKind {
        name: "a CLIP of text and image encoder, not a checkpoint",
        advice: "move it to ComfyUI's models/clip_vision, whose loader takes the image encoder",
        only: &[
            "^text_model.",
            "^vision_model.",
            "^text_projection",
            "^visual_projection.",
            "^logit_scale",
        ],
        all: &["^text_model.", "^vision_model."],
        source: "ComfyUI 0.33, comfy/clip_vision.py",
        ..KIND
    },
    OtherKind {
        name: "a CLIP image encoder, not a checkpoint",
        advice: "move it to ComfyUI's models/clip_vision",
        only: &[
            "^vision_model.",
            "^visual.",
            "^visual_projection.",
            "^vision_tower.",
            "^multi_modal_projector.",
            "^logit_scale",
        ],
        source: "ComfyUI 0.33, comfy/clip_vision.py",
        ..KIND
    },
    OtherKind {
        name: "a text encoder, not a checkpoint",
        advice: "move it to models/text_encoder, or ComfyUI's models/text_encoders",
        only: &[
            "^cond_stage_model.",
            "^conditioner.",
            "^text_model.",
            "^text_encoder",
            "^text_projection",
            "^logit_scale",
            "^shared.weight$",
            "^spiece_model$",
            "^encoder.",
            "^embeddings.",
            "^pooler.",
            "^resblocks.",
            "^token_embedding.",
            "^positional_embedding",
            "^ln_final.",
        ],
        source: "ComfyUI 0.33, comfy/sd.py detect_te_model",
        ..KIND
    },
    OtherKind {
        name: "an upscaler, not a checkpoint",
        advice: "move it to models/ESRGAN, or ComfyUI's models/upscale_models",
        any: &[".RDB1.conv1.", ".rdb1.conv1.", ".residual_group.", "^upsampler.0."],
        source: "chaiNNer-org/spandrel, architectures",
        ..KIND
    },
    OtherKind {
        name: "an image-prompt layer of Flux (Redux), not a checkpoint",
        advice: "move it to ComfyUI's models/style_models",
        any: &["^redux_up."],
        source: "ComfyUI 0.33, comfy/sd.py load_style_model",
        ..KIND
    },
];

/// What some models have inside, so that those are looked for before.
pub(super) static LAST: &[OtherKind] = &[OtherKind {
    name: "a language model, which newer models use as their text encoder, not a checkpoint",
    advice: "move it to ComfyUI's models/text_encoders",
    any: &["^layers.0.self_attn.q_proj.", "^language_model.layers.", "^layers.0.self_attn.k_proj."],
    source: "ComfyUI 0.33, comfy/sd.py detect_te_model",
    ..KIND
}];
