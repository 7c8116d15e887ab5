//! Checkpoints as quantisers write them.

use checkpoint::{Checkpoint, Rejection, Scaling, signature};
use serde_json::json;

use crate::{
    open, refused,
    specs::{PREFIX, Spec, safetensors, sd1, spec, with_header},
};

const LAYER: &str = "input_blocks.1.1.transformer_blocks.0.attn2.to_k";

/// An SD 1.x checkpoint whose layer [`LAYER`] is stored as `dtype` with this shape, with these beside it.
fn quantised(
    dtype: &'static str,
    shape: &[u64],
    beside: &[(&str, &'static str, &[u64])],
) -> Vec<Spec> {
    let name = format!("{PREFIX}{LAYER}.weight");
    let mut specs = sd1();
    specs.retain(|spec| spec.name != name);
    specs.push(spec(&name, dtype, shape));
    let full = |name: &str| match name.strip_prefix('.') {
        Some(part) => format!("{PREFIX}{LAYER}.{part}"),
        None => format!("{PREFIX}{name}"),
    };
    specs.extend(beside.iter().map(|(name, dtype, shape)| spec(&full(name), dtype, shape)));
    specs
}

/// With ComfyUI's description of the layer.
fn described(mut specs: Vec<Spec>, format: &str) -> Vec<Spec> {
    let mut description =
        spec(&format!("{PREFIX}{LAYER}.comfy_quant"), "U8", &[format.len() as u64]);
    description.data = format.as_bytes().to_vec();
    specs.push(description);
    specs
}

fn weight(checkpoint: &Checkpoint) -> Scaling<'_> {
    let name = format!("{PREFIX}{LAYER}.weight");
    checkpoint.scaling(checkpoint.tensors.iter().find(|tensor| tensor.name == name).unwrap())
}

const F8: &str = r#"{"format":"float8_e4m3fn"}"#;
const INT8: &str = r#"{"format":"int8_tensorwise"}"#;

/// All have the signature of the checkpoint that they were before.
#[test]
fn what_keeps_a_weights_shape_is_what_it_is_for() {
    let before = open(&safetensors(&sd1())).unwrap();
    let before_signature = signature(&before.architecture, &before.tensors);
    let f8 = |beside: &[_]| quantised("F8_E4M3", &[8, 768], beside);
    let i8 = |beside: &[_]| quantised("I8", &[8, 768], beside);
    for (what, specs, scale) in [
        ("fp8", f8(&[]), Some("")),
        ("fp8 e5m2", quantised("F8_E5M2", &[8, 768], &[]), Some("")),
        ("fp64", quantised("F64", &[8, 768], &[]), Some("")),
        ("fp32", quantised("F32", &[8, 768], &[]), Some("")),
        (
            "scaled fp8",
            f8(&[
                ("scaled_fp8", "F8_E4M3", &[0]),
                (".scale_weight", "F32", &[]),
                (".scale_input", "F32", &[]),
            ]),
            Some(".scale_weight"),
        ),
        (
            "comfy_quant fp8",
            described(f8(&[(".weight_scale", "F32", &[]), (".input_scale", "F32", &[])]), F8),
            Some(".weight_scale"),
        ),
        (
            "comfy_quant int8",
            described(i8(&[(".weight_scale", "F32", &[8, 1])]), INT8),
            Some(".weight_scale"),
        ),
        (
            "rotated int8",
            described(
                i8(&[(".weight_scale", "F32", &[8])]),
                r#"{"format":"int8_tensorwise","convrot":true}"#,
            ),
            None,
        ),
        // A description of another layer that is stored plainly.
        ("a mark without a scale", described(f8(&[]), F8), Some("")),
    ] {
        let checkpoint = open(&safetensors(&specs)).unwrap_or_else(|why| panic!("{what}: {why}"));
        let found = signature(&checkpoint.architecture, &checkpoint.tensors);
        assert_eq!(found, before_signature, "{what}");
        assert_eq!(checkpoint.unet().count(), before.unet().count(), "{what}");
        let remarks: Vec<_> = checkpoint.remarks().iter().map(ToString::to_string).collect();
        let is_told = remarks.iter().any(|remark| remark.contains("only ComfyUI multiplies"));
        assert_eq!(is_told, scale != Some(""), "{what}: {remarks:?}");
        match (weight(&checkpoint), scale) {
            (Scaling::Plain, Some("")) | (Scaling::Unknown, None) => {}
            (Scaling::By(found), Some(wanted)) => {
                assert_eq!(found.name, format!("{PREFIX}{LAYER}{wanted}"), "{what}");
            }
            (found, wanted) => panic!("{what}: {found:?}, and not {wanted:?}"),
        }
    }
}

/// The ids are of what is stored, whatever it is for.
#[test]
fn scales_count_in_the_ids() {
    let scaled = quantised("F8_E4M3", &[8, 768], &[(".scale_weight", "F32", &[])]);
    let ids = |specs: &[Spec]| open(&safetensors(specs)).unwrap().ids().unwrap();
    let mut other = scaled.clone();
    other.last_mut().unwrap().data[3] ^= 1;
    let mut bare = scaled.clone();
    bare.pop();
    let (scaled, other, bare) = (ids(&scaled), ids(&other), ids(&bare));
    for (a, b) in [(&scaled, &other), (&scaled, &bare)] {
        assert!(a.unet != b.unet && a.weights != b.weights);
    }
}

#[test]
fn packed_weights_are_called_by_their_quantiser() {
    let packed = |beside: &[_]| quantised("U8", &[8, 384], beside);
    let fp4 = &[(".weight_scale", "F8_E4M3", &[128, 48][..]), (".weight_scale_2", "F32", &[])];
    let nf4 = &[
        (".weight.absmax", "F32", &[96][..]),
        (".weight.quant_map", "F32", &[16]),
        (".weight.quant_state.bitsandbytes__nf4", "U8", &[80]),
    ];
    let w4a4 = r#"{"format":"convrot_w4a4"}"#;
    for (words, specs) in [
        ("nvfp4", packed(fp4)),
        ("nvfp4", described(packed(fp4), r#"{"format":"nvfp4"}"#)),
        ("NF4 (bitsandbytes", quantised("U8", &[3072, 1], nf4)),
        ("mxfp8", quantised("F8_E4M3", &[8, 768], &[(".weight_scale", "U8", &[128, 24])])),
        ("mxfp8", described(quantised("F8_E4M3", &[8, 768], &[]), r#"{"format":"mxfp8"}"#)),
        (
            "convrot_w4a4",
            described(quantised("I8", &[8, 384], &[(".weight_scale", "F32", &[8])]), w4a4),
        ),
        ("a new form", described(packed(&[]), r#"{"format":"w2a2"}"#)),
        ("torchao's form", quantised("F16", &[8, 768], &[("x._weight_qdata", "I8", &[8, 768])])),
    ] {
        let rejection = refused(&safetensors(&specs), words);
        assert!(matches!(rejection, Rejection::Quantised { .. }), "{words}: {rejection:?}");
        let text = rejection.to_string();
        assert!(
            text.contains("fp16") && !text.contains("damaged") && !text.contains("again"),
            "{text}"
        );
    }
}

/// A weight that is one again, or still, with what a quantiser has left beside it, is read.
#[test]
fn what_is_left_beside_a_weight_is_no_matter() {
    let left = &[(".weight.absmax", "F32", &[96][..]), (".weight.quant_map", "F32", &[16])];
    open(&safetensors(&quantised("F16", &[8, 768], left))).unwrap();
}

/// Even where not a weight of a packed type is left to tell.
#[test]
fn what_stands_in_for_a_weight_is_not_damage() {
    for layer in [LAYER, "time_embed.0", "input_blocks.0.0", "input_blocks.5.0.in_layers.2"] {
        let name = format!("{PREFIX}{layer}.weight");
        let mut specs = sd1();
        specs.retain(|spec| spec.name != name);
        specs.push(spec(&format!("{PREFIX}{layer}._weight_qdata"), "F8_E4M3", &[8, 768]));
        specs.push(spec(&format!("{PREFIX}{layer}._weight_scale"), "F32", &[8, 1]));
        refused(&safetensors(&specs), "quantised to torchao's form");
    }
}

/// The newest files describe their layers in the header alone, some without the model's prefix.
#[test]
fn layers_may_be_described_in_the_metadata() {
    let specs = quantised("F8_E4M3", &[8, 768], &[(".weight_scale", "F32", &[])]);
    let file = safetensors(&specs);
    let len = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let (header, data) = (std::str::from_utf8(&file[9..8 + len]).unwrap(), &file[8 + len..]);
    let told = |layer: &str, format: serde_json::Value| {
        let text = json!({"format_version": "1.0", "layers": {layer: format}}).to_string();
        let metadata = json!({"_quantization_metadata": text});
        with_header(&format!(r#"{{"__metadata__":{metadata},{header}"#), data)
    };
    for prefix in ["", "diffusion_model.", PREFIX] {
        let layer = format!("{prefix}{LAYER}");
        let fp8 = open(&told(&layer, json!({"format": "float8_e4m3fn"}))).unwrap();
        assert!(matches!(weight(&fp8), Scaling::By(_)));
        refused(&told(&layer, json!({"format": "mxfp8"})), "quantised to mxfp8");
        let rotated =
            open(&told(&layer, json!({"format": "int8_tensorwise", "convrot": true}))).unwrap();
        assert_eq!(weight(&rotated), Scaling::Unknown);
    }
}

#[test]
fn another_models_name_matters_more_than_how_it_is_stored() {
    let specs = [
        spec("double_blocks.0.img_attn.qkv.weight", "U8", &[8, 1]),
        spec("double_blocks.0.img_attn.qkv.weight.quant_state.bitsandbytes__nf4", "U8", &[8]),
    ];
    refused(&safetensors(&specs), "Flux");
}
