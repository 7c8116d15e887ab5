//! UNets with diffusers' names are the same checkpoints as those that were converted.

use checkpoint::Checkpoint;
use goldens::Manifest;

use crate::{
    open,
    specs::{PREFIX, Spec, renamed, safetensors, spec},
};

/// diffusers' name of an original one, in a UNet whose levels have two residual blocks on the way down, as its own
/// conversion script (`convert_diffusers_to_original_stable_diffusion.py`) counts them.
fn theirs(name: &str, y: &str, up: &[(usize, usize)]) -> String {
    let exact = [
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("input_blocks.0.0.", "conv_in."),
        ("out.0.", "conv_norm_out."),
        ("out.2.", "conv_out."),
    ];
    if let Some((ours, theirs)) = exact.iter().find(|(ours, _)| name.starts_with(ours)) {
        return name.replacen(ours, theirs, 1);
    }
    if let Some(rest) = name.strip_prefix("label_emb.0.") {
        let (layer, rest) = rest.split_once('.').unwrap();
        return format!("{y}.linear_{}.{rest}", if layer == "0" { 1 } else { 2 });
    }
    let (block, rest) = name.split_once('.').unwrap();
    let (number, rest) = rest.split_once('.').unwrap();
    let number: usize = number.parse().unwrap();
    if block == "middle_block" {
        return match number {
            1 => format!("mid_block.attentions.0.{rest}"),
            _ => format!("mid_block.resnets.{}.{}", number / 2, layer(rest)),
        };
    }
    let (module, rest) = rest.split_once('.').unwrap();
    let (side, level, place) = match block {
        "input_blocks" => ("down_blocks", (number - 1) / 3, (number - 1) % 3),
        "output_blocks" => ("up_blocks", number / 3, number % 3),
        other => panic!("{other}"),
    };
    let at = format!("{side}.{level}");
    match (side, place, module, rest) {
        ("down_blocks", 2, "0", rest) => {
            format!("{at}.downsamplers.0.{}", rest.replacen("op.", "conv.", 1))
        }
        (_, _, "0", rest) => format!("{at}.resnets.{place}.{}", layer(rest)),
        ("up_blocks", 2, "1", rest) if !up.contains(&(level, place)) => {
            format!("{at}.upsamplers.0.{rest}")
        }
        (_, _, "1", rest) => format!("{at}.attentions.{place}.{rest}"),
        (_, _, "2", rest) => format!("{at}.upsamplers.0.{rest}"),
        other => panic!("{other:?}"),
    }
}

/// A residual block's layer.
fn layer(rest: &str) -> String {
    let layers = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("emb_layers.1.", "time_emb_proj."),
        ("skip_connection.", "conv_shortcut."),
    ];
    let (ours, theirs) = layers.iter().find(|(ours, _)| rest.starts_with(ours)).unwrap();
    rest.replacen(ours, theirs, 1)
}

/// The UNet's tensors of a golden checkpoint, without the prefix.
fn golden(name: &str) -> Vec<Spec> {
    let manifest = Manifest::load(name).unwrap();
    let unet = manifest.tensors.iter().filter_map(|tensor| {
        let shape: Vec<u64> = tensor.1.iter().map(|size| *size as u64).collect();
        // The values don't count here; small files are read faster.
        Some((tensor.0.strip_prefix(PREFIX)?, shape))
    });
    unet.map(|(name, shape)| spec(name, "F16", &shape)).collect()
}

fn up_attentions(specs: &[Spec]) -> Vec<(usize, usize)> {
    let blocks = specs.iter().filter_map(|spec| {
        let number = spec.name.strip_prefix("output_blocks.")?.strip_suffix(".1.norm.weight")?;
        number.parse::<usize>().ok()
    });
    blocks.map(|number| (number / 3, number % 3)).collect()
}

#[test]
fn names_of_diffusers_give_the_converted_files_ids() {
    for (name, y) in [
        ("sd1", ""),
        ("sd1-inpaint", ""),
        ("instruct-pix2pix", ""),
        // Not IC-Light: under these names there are only its offsets, and ComfyUI converts no other.
        ("sd2", ""),
        ("sd2-marigold", ""),
        ("sd2-unclip-l", "class_embedding"),
        ("sd2-lotus", "class_embedding"),
        ("sdxl", "add_embedding"),
        ("sdxl-inpaint", "add_embedding"),
        ("refiner", "add_embedding"),
        ("ssd-1b", "add_embedding"),
    ] {
        let converted = golden(name);
        let up = up_attentions(&converted);
        let whole =
            open(&safetensors(&renamed(&converted, |name| format!("{PREFIX}{name}")))).unwrap();
        let check = |saved: Checkpoint| {
            let names = |checkpoint: &Checkpoint| {
                checkpoint.tensors.iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>()
            };
            assert_eq!(names(&saved), names(&whole), "{name}");
            assert_eq!(saved.ids().unwrap(), whole.ids().unwrap(), "{name}");
            assert_eq!(saved.signature(), whole.signature(), "{name}");
            assert_eq!(saved.architecture, whole.architecture, "{name}");
        };
        let prefixes = ["", "unet.", "diffusion_model.", PREFIX];
        for prefix in &prefixes[..if name == "sd2-lotus" { prefixes.len() } else { 1 }] {
            let saved = renamed(&converted, |name| format!("{prefix}{}", theirs(name, y, &up)));
            check(open(&safetensors(&saved)).unwrap());
        }
    }
}
