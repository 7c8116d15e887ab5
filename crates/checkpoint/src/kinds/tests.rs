//! Headers of every kind, as the tools that make them write them; sources stand beside the marks.

use super::*;
use crate::tensor::{Dtype, UNET_PREFIX};

/// Tensors from names with shapes, as in `img_in.weight:3072x64`; 4x4 without one.
fn header(text: &str) -> Vec<Tensor> {
    let tensor = |text: &str| {
        let (name, shape) = text
            .split_once(':')
            .filter(|(_, shape)| shape.contains(char::is_numeric))
            .filter(|(name, _)| !name.is_empty() && !text.contains("::"))
            .unwrap_or((text, "4x4"));
        let shape = shape.split('x').map(|size| size.parse().unwrap()).collect();
        Tensor { name: name.to_owned(), dtype: Dtype::F16, shape, offset: 0, bytes: 0 }
    };
    text.split_whitespace().map(tensor).collect()
}

/// Kind and header by line.
fn headers() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = include_str!("headers.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(" | ").unwrap())
}

#[test]
fn every_kind_has_a_header_and_every_header_its_kind() {
    let mut seen = Vec::new();
    for (expected, text) in headers() {
        let plain = header(text);
        let found = what_it_is(&plain, &HeaderMetadata::default());
        let shown = found.map(ToString::to_string).unwrap_or_default();
        assert!(shown.starts_with(expected), "{text}: {shown:?}, and not {expected}");
        seen.push(found.unwrap());
        // A wrapper changes nothing, where the model is not told by what is beside it.
        for wrapper in [UNET_PREFIX, "diffusion_model.", "unet.", "module."] {
            let wrapped: Vec<_> = plain
                .iter()
                .map(|tensor| Tensor {
                    name: format!("{wrapper}{}", tensor.name),
                    ..tensor.clone()
                })
                .collect();
            assert!(
                std::ptr::eq(
                    what_it_is(&wrapped, &HeaderMetadata::default()).unwrap(),
                    found.unwrap()
                ),
                "{wrapper}: {text}"
            );
        }
    }
    for kind in addons::KINDS.iter().chain(models()).chain(addons::LAST) {
        // A file with its marks is a motion module, unless there is a UNet around them.
        let is_around = kind.name.starts_with("AnimateDiff's UNet");
        let is_seen = seen.iter().any(|seen| std::ptr::eq(*seen, kind));
        assert!(is_seen || is_around, "no header is {kind}");
        assert!(!kind.source.is_empty() && !kind.advice.is_empty(), "{kind}");
    }
}

#[test]
fn a_unet_around_a_motion_module_is_a_model() {
    let found =
        model(&header("input_blocks.0.0.weight down_blocks.0.motion_modules.0.proj_in.weight"));
    assert!(found.unwrap().name.starts_with("AnimateDiff's UNet"));
}

#[test]
fn what_is_a_checkpoint_is_none_of_them() {
    for name in ["sd1", "sd2", "sd2-unclip-l", "sdxl", "ssd-1b", "refiner", "instruct-pix2pix"] {
        let golden = goldens::Manifest::load(name).unwrap();
        let names: Vec<_> = golden.tensors.iter().map(|spec| spec.0.clone()).collect();
        let tensors = header(&names.join(" "));
        assert!(what_it_is(&tensors, &HeaderMetadata::default()).is_none(), "{name}");
        assert!(quantiser(&tensors).is_none(), "{name}");
    }
    assert!(what_it_is(&[], &HeaderMetadata::default()).is_none());
    assert!(what_it_is(&header("some.other.weight"), &HeaderMetadata::default()).is_none());
}

#[test]
fn metadata_tell_too() {
    let told = |metadata: &str| {
        let metadata = serde_json::from_str(metadata).unwrap();
        what_it_is(&header("a.weight"), &metadata).map(|kind| kind.name)
    };
    let lora = Some("a LoRA, not a checkpoint");
    assert_eq!(told(r#"{"ss_network_module":"networks.lora"}"#), lora);
    assert_eq!(told(r#"{"modelspec.architecture":"stable-diffusion-xl-v1-base/lora"}"#), lora);
    assert_eq!(told(r#"{"modelspec.architecture":"stable-diffusion-xl-v1-base"}"#), None);
    assert_eq!(told(r#"{"format":"pt","ss_network_dim":8}"#), None);
}

#[test]
fn every_quantiser_is_told_by_what_it_leaves() {
    let headers = [
        ("NF4", "a.weight.absmax a.weight.quant_map a.weight.quant_state.bitsandbytes__nf4"),
        ("FP4", "a.weight.absmax a.weight.quant_state.bitsandbytes__fp4"),
        ("4 bits (bits", "a.weight.absmax a.weight.quant_map"),
        ("int8 (bits", "a.weight a.SCB"),
        ("nvfp4", "a.weight a.weight_scale a.weight_scale_2"),
        ("torchao's", "a._weight_qdata a._weight_scale"),
        ("SVDQuant", "a.qweight a.wscales a.smooth_factor"),
        ("GPTQ or AWQ", "a.qweight a.qzeros a.scales"),
        ("quanto's", "a.weight._data a.weight._scale"),
        ("HQQ", "a.W_q"),
        ("compressed-tensors'", "a.weight_packed a.weight_scale a.weight_shape"),
        ("AQLM", "a.codes a.codebooks a.scales"),
        ("EETQ", "a.qweight a.weight_scales"),
        ("SDNQ", "a.weight a.scale"),
        ("a form of ComfyUI's", "a.weight a.weight_s_rel a.weight_codebook"),
    ];
    assert_eq!(headers.len(), quantisers::KINDS.len());
    for (expected, text) in headers {
        let found = quantiser(&header(text)).unwrap();
        assert!(found.name.starts_with(expected), "{text}: {found}");
        assert!(!found.source.is_empty());
    }
    for (name, kind) in quantisers::FORMATS {
        assert!(
            std::ptr::eq(format(name), kind)
                && kind.name.starts_with(|c: char| c.is_alphanumeric())
        );
    }
    assert!(format("w2a2").name.contains("new"));
}
