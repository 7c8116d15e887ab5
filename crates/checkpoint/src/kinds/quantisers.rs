//! Programs that pack a layer's weights, so that their shape no longer tells which UNet it is.

use super::{KIND, OtherKind};

const ADVICE: &str = "get or make an fp16, bf16 or fp8 file of the same model";
const COMFY: &str = "ComfyUI 0.33, comfy/quant_ops.py QUANT_ALGOS";
const BITSANDBYTES: &str = "bitsandbytes 0.50.2, bitsandbytes/functional.py";

/// A program that leaves one of these marks.
const fn by(name: &'static str, any: &'static [&'static str], source: &'static str) -> OtherKind {
    OtherKind { name, advice: ADVICE, any, source, ..KIND }
}

pub(super) static KINDS: &[OtherKind] = &[
    by("NF4 (bitsandbytes; Forge runs it)", &[".quant_state.bitsandbytes__nf4$"], BITSANDBYTES),
    by("FP4 (bitsandbytes; Forge runs it)", &[".quant_state.bitsandbytes__fp4$"], BITSANDBYTES),
    by("4 bits (bitsandbytes; Forge runs it)", &[".absmax$", ".quant_map$"], BITSANDBYTES),
    by("int8 (bitsandbytes; diffusers runs it)", &[".SCB$", ".weight_format$"], BITSANDBYTES),
    by(
        "nvfp4 (ComfyUI's tools or NVIDIA's ModelOpt; ComfyUI runs it)",
        &[".weight_scale_2$"],
        COMFY,
    ),
    by(
        "torchao's form (no front end loads it)",
        &["._weight_qdata$", "._weight_scale$", "._weight_zero_point$", "._weight_tensor_impl"],
        "torchao 0.18.0, prototype/safetensors",
    ),
    by(
        "SVDQuant (Nunchaku; ComfyUI-nunchaku runs it)",
        &[".wscales$", ".smooth_factor$", ".smooth_orig$", ".smooth$"],
        "nunchaku-tech/nunchaku, nunchaku/models/linear.py",
    ),
    by("AQLM", &[".codebooks$"], "Vahe1994/AQLM, inference_lib/src/aqlm"),
    by("EETQ", &[".weight_scales$"], "NetEase-FuXi/EETQ, python/eetq"),
    by("GPTQ or AWQ", &[".qzeros$", ".qweight$"], "AutoGPTQ, nn_modules/qlinear"),
    by(
        "quanto's form (diffusers runs it)",
        &[".weight._data$", ".weight._scale$"],
        "optimum-quanto, quanto/tensor",
    ),
    by("HQQ", &[".W_q$"], "mobiusml/hqq, hqq/core/quantize.py"),
    by("compressed-tensors' form", &[".weight_packed$"], "vllm-project/compressed-tensors"),
    by("a form of ComfyUI's tools", &[".weight_codebook$", ".weight_s_rel$"], COMFY),
    by(
        "SDNQ (SD.Next runs it)",
        &[".svd_up$", ".zero_point$", ".scale$"],
        "Disty0/sdnq, sdnq/quantizer.py",
    ),
];

/// The formats of `comfy_quant` that pack a layer's weights, by their names there.
pub(super) static FORMATS: &[(&str, OtherKind)] = &[
    ("nvfp4", by("nvfp4 (ComfyUI's tools; ComfyUI runs it)", &[], COMFY)),
    ("mxfp8", by("mxfp8 (ComfyUI's tools; ComfyUI runs it)", &[], COMFY)),
    (
        "convrot_w4a4",
        by("4 bits, rotated (convrot_w4a4 of ComfyUI's tools; ComfyUI runs it)", &[], COMFY),
    ),
    (
        "asym_w4a8_int8",
        by("4 bits (asym_w4a8_int8 of ComfyUI's tools; ComfyUI runs it)", &[], COMFY),
    ),
];

/// A format that is newer than this program.
pub(super) static NEW_FORMAT: OtherKind =
    by("a new form of ComfyUI's tools (ComfyUI runs it)", &[], COMFY);
