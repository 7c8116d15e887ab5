//! Well-formed files: the kinds of checkpoints, and files that are not checkpoints.

use checkpoint::{Architecture, Dtype, Heads, Kind, Rejection, Tensor};

use crate::{
    open, refused,
    specs::{PREFIX, Spec, renamed, safetensors, sd1, spec, unet},
};

#[test]
fn kinds() {
    for (in_channels, context, y, expected) in [
        (4, 768, None, Kind::Sd1),
        (9, 768, None, Kind::Sd1Inpaint),
        (8, 768, None, Kind::InstructPix2pix),
        (4, 1024, None, Kind::Sd2),
        (9, 1024, None, Kind::Sd2Inpaint),
        (5, 1024, None, Kind::Sd2Depth),
        (4, 1024, Some(1536), Kind::Sd2Unclip),
        (4, 1024, Some(2048), Kind::Sd2Unclip),
        (4, 2048, Some(2816), Kind::Sdxl),
        (9, 2048, Some(2816), Kind::SdxlInpaint),
        (4, 1280, Some(2560), Kind::SdxlRefiner),
        (12, 768, None, Kind::Sd1IcLight),
        (16, 768, None, Kind::Sd1Other),
        (5, 768, None, Kind::Sd1Other),
        (8, 1024, None, Kind::Sd2Marigold),
        (4, 1024, Some(4), Kind::Sd2Lotus),
        (8, 1024, Some(4), Kind::Sd2Lotus),
        (12, 1024, None, Kind::Sd2Other),
        (8, 2048, Some(2816), Kind::SdxlInstructPix2pix),
        (13, 2048, Some(2816), Kind::SdxlOther),
        (32, 2048, Some(2816), Kind::SdxlOther),
    ] {
        let checkpoint = open(&safetensors(&unet(in_channels, context, y))).unwrap();
        let heads = if context == 768 { Heads::Count(8) } else { Heads::Width(64) };
        let expected =
            Architecture { kind: expected, in_channels, context_width: context, y_width: y, heads };
        assert_eq!(checkpoint.architecture, expected);
    }
}

#[test]
fn unknown_kinds_are_refused() {
    for (in_channels, context, y) in [
        (7, 768, None),
        (0, 768, None),
        (68, 1024, None),
        (4, 768, Some(1536)),
        (4, 1024, Some(2816)),
        (4, 2048, None),
        (4, 2048, Some(5633)),
        (7, 2048, Some(2816)),
        (4, 1280, None),
        (8, 1280, Some(2560)),
        (4, 640, None),
    ] {
        let rejection = refused(&safetensors(&unet(in_channels, context, y)), "unknown kind");
        assert!(matches!(rejection, Rejection::UnknownArchitecture { .. }));
    }
    refused(&safetensors(&unet(7, 768, None)), "7 input channels, context 768 wide, y absent");
    refused(&safetensors(&unet(4, 2048, Some(5))), "y 5 wide");
}

/// The manifests cover every kind.
#[test]
fn the_golden_checkpoints_are_recognized() {
    #[derive(serde::Deserialize)]
    struct Manifest {
        tensors: Vec<(String, Vec<u64>)>,
    }
    for (file, kind) in [
        ("sd1", Kind::Sd1),
        ("sd1-inpaint", Kind::Sd1Inpaint),
        ("instruct-pix2pix", Kind::InstructPix2pix),
        ("sd2", Kind::Sd2),
        ("sd2-inpaint", Kind::Sd2Inpaint),
        ("sd2-depth", Kind::Sd2Depth),
        ("sd2-unclip-l", Kind::Sd2Unclip),
        ("sd2-unclip-h", Kind::Sd2Unclip),
        ("sdxl", Kind::Sdxl),
        ("sdxl-inpaint", Kind::SdxlInpaint),
        ("ssd-1b", Kind::Sdxl),
        ("refiner", Kind::SdxlRefiner),
        ("sd1-ic-light", Kind::Sd1IcLight),
        ("sd2-marigold", Kind::Sd2Marigold),
        ("sd2-lotus", Kind::Sd2Lotus),
        ("sdxl-instruct-pix2pix", Kind::SdxlInstructPix2pix),
        ("sdxl-32-channels", Kind::SdxlOther),
    ] {
        let path = format!("{}/../../tests/fixtures/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let manifest: Manifest = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let tensors: Vec<_> = manifest
            .tensors
            .into_iter()
            .map(|(name, shape)| Tensor { name, dtype: Dtype::F16, shape, offset: 0, bytes: 0 })
            .collect();
        assert_eq!(Architecture::of(&tensors).unwrap().kind, kind, "{file}");
    }
}

#[test]
fn unet_only_files_are_recognized_under_every_naming() {
    let plain = open(&safetensors(&unet(4, 768, None))).unwrap().ids().unwrap();
    for prefix in ["", "diffusion_model.", "state_dict.model.diffusion_model.", "state_dict."] {
        let specs = renamed(&unet(4, 768, None), |name| name.replace(PREFIX, prefix));
        let checkpoint = open(&safetensors(&specs)).unwrap();
        assert!(checkpoint.tensors.iter().all(|tensor| tensor.name.starts_with(PREFIX)));
        assert_eq!(checkpoint.ids().unwrap(), plain, "{prefix:?}");
    }
}

#[test]
fn two_tensors_of_one_canonical_name_are_refused() {
    let mut specs = unet(4, 768, None);
    specs.push(spec(&format!("state_dict.{PREFIX}out.2.weight"), "F16", &[1]));
    let rejection = refused(&safetensors(&specs), "two tensors are called");
    assert!(
        matches!(rejection, Rejection::DuplicateName { name } if name == format!("{PREFIX}out.2.weight"))
    );
}

#[test]
fn other_files_are_named() {
    let cases: &[(&[&str], &str, &str)] = &[
        (&["lora_unet_down_blocks_0.lora_up.weight"], "a LoRA", "a LoRA"),
        (&["unet.down_blocks.0.attn.to_k.lora_A.weight"], "models/Lora", "a LoRA"),
        (&["diffusion_model.input_blocks.1.1.to_k.lora_B.weight"], "a LoRA", "a LoRA"),
        (&["lycoris_x.lokr_w1"], "a LoRA", "a LoRA"),
        (
            &["encoder.conv_in.weight", "decoder.conv_in.weight", "quant_conv.bias"],
            "a VAE",
            "a VAE",
        ),
        (&["first_stage_model.encoder.conv_in.weight"], "models/VAE", "a VAE"),
        (&["emb_params"], "embedding", "a textual-inversion embedding"),
        (&["clip_l", "clip_g"], "embedding", "a textual-inversion embedding"),
        (&["string_to_param.*"], "embedding", "a textual-inversion embedding"),
        (&["control_model.input_blocks.0.0.weight"], "ControlNet", "a ControlNet"),
        (&["input_blocks.0.0.weight", "zero_convs.0.0.weight"], "ControlNet", "a ControlNet"),
        (&["controlnet_down_blocks.0.weight", "down_blocks.0.x"], "ControlNet", "a ControlNet"),
        (&["text_model.embeddings.token_embedding.weight"], "text encoder", "text encoder"),
        (&["shared.weight", "encoder.block.0.layer.0.weight"], "text encoder", "text encoder"),
        (
            &["model.diffusion_model.joint_blocks.0.x", "first_stage_model.y"],
            "Stable Diffusion 3",
            "Stable Diffusion 3",
        ),
        (
            &["model.diffusion_model.x_embedder.proj.weight"],
            "not supported",
            "a diffusion transformer",
        ),
        (&["double_blocks.0.img_attn.qkv.weight", "single_blocks.0.x"], "Flux", "Flux"),
        (&["model.diffusion_model.double_blocks.0.x", "vae.x"], "Flux", "Flux"),
        (
            &["down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"],
            "original layout",
            "diffusers' tensor names",
        ),
        (&["unet.up_blocks.0.resnets.0.conv1.weight"], "diffusers", "diffusers' tensor names"),
    ];
    for (names, words, kind) in cases {
        let specs: Vec<_> = names.iter().map(|name| spec(name, "F16", &[2, 2])).collect();
        let rejection = refused(&safetensors(&specs), words);
        assert!(
            matches!(rejection, Rejection::Other(other) if other.name.contains(kind)),
            "{names:?}: {rejection:?}"
        );
    }
    // UNets of other models under diffusers' names, which have none of what Stable Diffusion's attention has.
    let part = |(name, shape): (&str, &[u64])| spec(name, "F16", shape);
    let common: [(&str, &[u64]); 6] = [
        ("conv_in.weight", &[8, 3, 3, 3]),
        ("time_embedding.linear_1.weight", &[32, 8]),
        ("time_embedding.linear_2.weight", &[32, 32]),
        ("conv_norm_out.weight", &[8]),
        ("conv_out.weight", &[6, 8, 3, 3]),
        ("down_blocks.0.attentions.0.add_k_proj.weight", &[8, 8]),
    ];
    for (own, words) in [
        ("add_embedding.pool.k_proj.weight", "DeepFloyd IF"),
        ("add_embedding.image_norm.weight", "Kandinsky 2"),
    ] {
        let mut specs = common.map(part).to_vec();
        specs.push(spec(own, "F16", &[8, 8]));
        let rejection = refused(&safetensors(&specs), words);
        assert!(matches!(rejection, Rejection::Other(_)), "{rejection:?}");
    }
    // Not a UNet of 12 input channels that diffusers has saved.
    let offsets = [
        "down_blocks.0.resnets.0.conv1.weight",
        "conv_out.weight",
        "time_embedding.linear_1.weight",
    ];
    let mut offsets = offsets.map(|name| spec(name, "F16", &[4, 4])).to_vec();
    offsets.push(spec("conv_in.weight", "F16", &[8, 12, 3, 3]));
    for prefix in ["", "unet."] {
        let named = renamed(&offsets, |name| format!("{prefix}{name}"));
        refused(&safetensors(&named), "IC-Light's offsets");
    }
    let unknown = safetensors(&[spec("some.other.model.weight", "F16", &[2, 2])]);
    assert!(matches!(refused(&unknown, "no Stable Diffusion UNet"), Rejection::NoUnet));
}

#[test]
fn a_checkpoint_may_have_additional_tensors() {
    let mut specs = sd1();
    specs.push(spec("control_model.input_blocks.0.0.weight", "F16", &[1]));
    specs.push(spec("bundle_emb.x.string_to_param.*", "F16", &[1]));
    assert_eq!(open(&safetensors(&specs)).unwrap().architecture.kind, Kind::Sd1);
}

/// They count for the ids, which are over what a file holds, but not for what an engine is built from.
#[test]
fn what_front_ends_drop_is_no_part_of_the_signature() {
    let plain = open(&safetensors(&sd1())).unwrap();
    for (name, dtype, shape) in [
        ("time_embed.cond_proj.weight", "F16", &[8, 256][..]),
        ("time_embedding.cond_proj.weight", "F16", &[8, 256]),
        ("input_blocks.0.0.weight.absmax", "F32", &[5]),
        ("input_blocks.0.0.weight.quant_state.bitsandbytes__nf4", "U8", &[80]),
        ("marker", "F32", &[1]),
        ("steps", "I64", &[]),
    ] {
        let mut specs = sd1();
        specs.push(spec(&format!("{PREFIX}{name}"), dtype, shape));
        let checkpoint = open(&safetensors(&specs)).unwrap();
        assert_eq!(checkpoint.signature(), plain.signature(), "{name}");
        assert_eq!(checkpoint.architecture, plain.architecture, "{name}");
        assert_eq!(checkpoint.parameters().count(), plain.unet().count(), "{name}");
        assert_ne!(checkpoint.ids().unwrap().unet, plain.ids().unwrap().unet, "{name}");
        let said = checkpoint.remarks()[0].to_string();
        assert!(said.starts_with(&format!("{PREFIX}{name} is ignored")), "{said}");
    }
}

#[test]
fn unets_that_compute_something_else_are_refused() {
    for (name, words) in [
        ("input_blocks.1.1.time_stack.0.norm1.weight", "temporal layers"),
        ("position_net.linears.0.weight", "GLIGEN's layers"),
        ("middle_block.1.transformer_blocks.0.attn2.processor.to_k_ip.weight", "IP-Adapter"),
    ] {
        let mut specs = sd1();
        specs.push(spec(&format!("{PREFIX}{name}"), "F16", &[8]));
        refused(&safetensors(&specs), words);
    }
    let mut specs = unet(8, 768, None);
    assert_eq!(open(&safetensors(&specs)).unwrap().architecture.kind, Kind::InstructPix2pix);
    specs.push(spec("cc_projection.weight", "F16", &[768, 772]));
    refused(&safetensors(&specs), "Zero123");
}

#[test]
fn damaged_unets_are_refused() {
    for part in [
        "input_blocks.0.0.weight",
        "out.0.weight",
        "out.2.weight",
        "time_embed.0.weight",
        "time_embed.2.weight",
    ] {
        let specs = sd1();
        let less: Vec<Spec> =
            specs.iter().filter(|spec| spec.name != format!("{PREFIX}{part}")).cloned().collect();
        let rejection = refused(&safetensors(&less), &format!("{part} is missing"));
        assert!(matches!(rejection, Rejection::BadUnet { .. }));
        let bent = specs.iter().cloned().map(|mut spec| {
            if spec.name.ends_with(part) {
                spec.shape.push(1);
            }
            spec
        });
        refused(&safetensors(&bent.collect::<Vec<_>>()), "wrong rank");
    }
    let mut specs = sd1();
    specs.retain(|spec| !spec.name.contains("attn2"));
    refused(&safetensors(&specs), "attn2.to_k.weight is missing");
    // What a training program has wrapped.
    let wrapped = renamed(&unet(4, 768, None), |name| format!("module.{}", &name[PREFIX.len()..]));
    refused(&safetensors(&wrapped), "names begin with `module.`, which no front end takes off");
    // LDSR and unconditional ones never had it.
    specs.push(spec(&format!("{PREFIX}middle_block.0.in_layers.0.weight"), "F16", &[8]));
    refused(&safetensors(&specs), "a UNet that takes no text, as LDSR");
    specs.pop();
    specs = sd1();
    specs.push(spec(&format!("{PREFIX}x.attn2.to_k.weight"), "F16", &[8, 1024]));
    refused(&safetensors(&specs), "disagrees with the others");
    specs = unet(4, 768, None);
    specs.push(spec(&format!("{PREFIX}label_emb.0.0.weight"), "F16", &[8]));
    refused(&safetensors(&specs), "wrong rank");
}

#[test]
fn a_unet_must_have_weights_that_front_ends_cast() {
    for (dtype, usable) in [
        ("F16", true),
        ("BF16", true),
        ("F32", true),
        ("F8_E4M3", true),
        ("F8_E5M2", true),
        ("F64", true),
        ("I8", false),
        ("U8", false),
        ("F8_E8M0", false),
        ("F8_E4M3FNUZ", false),
        ("BOOL", false),
    ] {
        let mut specs = sd1();
        specs.push(spec(&format!("{PREFIX}extra"), dtype, &[4]));
        let bytes = safetensors(&specs);
        if usable {
            open(&bytes).unwrap();
        } else {
            let rejection = refused(&bytes, &format!("stored as {dtype}"));
            assert!(matches!(rejection, Rejection::UnetDtype { .. }));
        }
    }
}
