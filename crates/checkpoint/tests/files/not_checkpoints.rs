//! Files that hold no checkpoint, or only a part of one, by their own names.

use std::fs;

use checkpoint::{Checkpoint, Rejection};
use goldens::pickle::{self, Node, call};

use crate::{
    pickler::{torch, torch_of},
    refused,
    specs::{safetensors, sd1, spec, unet},
};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

/// A GGUF file's beginning: pairs of a key and a text, with an array of two texts before them, and tensors.
fn gguf(pairs: &[(&str, &str)], tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((pairs.len() as u64 + 1).to_le_bytes());
    file.extend(text("comfy.gguf.orig_shape.a"));
    file.extend([9u32, 8].iter().flat_map(|number| number.to_le_bytes()));
    file.extend(2u64.to_le_bytes());
    file.extend([text("x"), text("yz")].concat());
    for (key, value) in pairs {
        file.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    for (name, shape) in tensors {
        file.extend(text(name));
        file.extend((shape.len() as u32).to_le_bytes());
        // The innermost first.
        file.extend(shape.iter().rev().flat_map(|size| size.to_le_bytes()));
        file.extend([0; 12]);
    }
    file
}

#[test]
fn a_gguf_says_of_which_model_it_is() {
    let named = |name| gguf(&[("general.name", "x"), ("general.architecture", name)], &[]);
    let unet = gguf(&[], &[("model.diffusion_model.input_blocks.0.0.weight", &[320, 4, 3, 3])]);
    let fill = gguf(&[], &[("double_blocks.0.a", &[8]), ("img_in.weight", &[3072, 384])]);
    for (file, words) in [
        (named("sdxl"), "an SDXL UNet"),
        (named("sd1"), "a Stable Diffusion 1 UNet"),
        (named("qwen_image"), "Qwen-Image"),
        (named("newest"), r#"the architecture "newest""#),
        (unet, "a Stable Diffusion UNet"),
        (fill, "Flux.1 Fill"),
        (gguf(&[], &[]), "an unknown model"),
        (b"GGUF".to_vec(), "an unknown model"),
        (b"GGUF\x03\0\0\0{".to_vec(), "an unknown model"),
    ] {
        let rejection = refused(&file, words);
        let said = rejection.to_string();
        // Only of a UNet another file would do.
        let is_named = match rejection {
            Rejection::GgufUnet { .. } => said.contains("safetensors") && words.ends_with("UNet"),
            Rejection::Gguf { .. } => said.contains("not of a Stable") && !words.ends_with("UNet"),
            _ => false,
        };
        assert!(is_named && said.contains("ComfyUI-GGUF"), "{said}");
        // Cut anywhere, it is still one.
        for len in 4..file.len().min(200) {
            refused(&file[..len], "a GGUF file of");
        }
    }
    let mut long = gguf(&[("a", "b")], &[]);
    long[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(&long, "an unknown model");
}

#[test]
fn a_part_says_which_others_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |number: u32| folder.path().join(format!("m.fp16-{number:05}-of-00003.safetensors"));
    let mut specs = unet(4, 768, None);
    specs.retain(|spec| !spec.name.contains("out."));
    fs::write(at(1), safetensors(&specs)).unwrap();
    fs::write(at(2), safetensors(&[spec("down_blocks.0.resnets.0.conv1.bias", "F16", &[2])]))
        .unwrap();
    let said = |number| Checkpoint::open(&at(number)).unwrap_err().to_string();
    for number in [1, 2] {
        let wanted = format!("part {number} of 3 of a checkpoint");
        assert!(said(number).contains(&wanted), "{}", said(number));
        assert!(
            said(number).contains("missing here: m.fp16-00003-of-00003.safetensors;")
                || said(number).contains("missing here: m.fp16-00003-of-00003.safetensors)"),
            "{}",
            said(number)
        );
        assert!(said(number).contains("save_file"));
    }
    // Of what is no Stable Diffusion, it says what it is: to join its parts would not help.
    let encoder = "encoder.block.0.layer.0.SelfAttention.q.weight";
    for (name, words) in [
        ("double_blocks.0.img_attn.qkv.weight", "part 2 of 3 (missing here: m.fp16-00003"),
        ("double_blocks.0.img_attn.qkv.weight", ") of Flux; it has no Stable Diffusion UNet"),
        (encoder, ") of a T5 text encoder, not a checkpoint; move it"),
        // A part of a checkpoint has such tensors too.
        ("first_stage_model.decoder.conv_in.weight", "part 2 of 3 of a checkpoint"),
    ] {
        fs::write(at(2), safetensors(&[spec(name, "F16", &[2])])).unwrap();
        assert!(said(2).contains(words), "{}", said(2));
    }
    fs::write(at(3), "").unwrap();
    assert!(said(1).contains("all of them are in its folder"), "{}", said(1));
    // One that is whole all the same is a checkpoint.
    fs::write(at(1), safetensors(&sd1())).unwrap();
    Checkpoint::open(&at(1)).unwrap();
}

#[test]
fn an_index_says_what_it_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("diffusion_pytorch_model.safetensors.index.json");
    let said = |text: &str| {
        fs::write(&path, text).unwrap();
        Checkpoint::open(&path).unwrap_err()
    };
    let index = r#"{"metadata":{"total_size":1},
        "weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-2.safetensors","d":"../m-3"}}"#;
    fs::write(folder.path().join("m-1.safetensors"), "").unwrap();
    let rejection = said(index);
    let text = rejection.to_string();
    assert!(matches!(rejection, Rejection::PartsIndex { parts: 3, .. }), "{text}");
    assert!(text.contains("(missing here: m-2.safetensors)"), "{text}");
    for settings in [
        r#"{"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"}"#,
        r#"{"architectures": ["CLIPTextModel"], "model_type": "clip_text_model"}"#,
    ] {
        assert!(matches!(said(settings), Rejection::Settings), "{settings}");
    }
    assert!(matches!(said(r#"{"error": "gated"}"#), Rejection::WebPage));
}

#[test]
fn what_a_distributed_run_has_saved_says_how_to_make_one_file_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("__0_0.distcp");
    // Many archives, one after the other, and none at the end.
    let archive = torch_of(&unet(4, 768, None));
    fs::write(&path, [&archive[..], &archive[..archive.len() / 2]].concat()).unwrap();
    let rejection = Checkpoint::open(&path).unwrap_err();
    assert!(rejection.to_string().contains("dcp_to_torch FOLDER"), "{rejection}");

    let tensor = call("torch.distributed.tensor", "DTensor", vec![]);
    let rejection = refused(&torch(&Node::Dict(vec![(pickle::text("x"), tensor)]), &[]), "DTensor");
    assert!(rejection.to_string().contains("full_state_dict=True"), "{rejection}");
}
