//! What the owner of a checkpoint should know of it, though it is served.

use serde::{Deserialize, Serialize};

use crate::{
    architecture::{Architecture, Kind},
    extra::is_dropped,
    names::Naming,
    tensor::{Tensor, UNET_PREFIX},
};

/// Something worth knowing of a checkpoint; `Display` says it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Remark {
    /// Tensors that front ends drop.
    #[error("{}", ignored(first, *count))]
    Dropped {
        /// How many there are.
        count: u64,
        /// The first one's canonical name.
        first: String,
    },
    /// Blocks that the full UNet has are missing, and identities in A1111.
    #[error(
        "parts of its UNet were pruned: A1111 puts zeros in their place, so there it uses the engines of the full \
         UNet, if a checkpoint in a watched folder has one; ComfyUI and Forge use its own"
    )]
    Pruned,
    /// A1111 can't load it.
    #[error("A1111 can't load it: {0}")]
    NotInA1111(NotInA1111),
    /// A1111 refuses the torch file, whatever is in it, for this reason.
    #[error("A1111 can't load it: {0}; ComfyUI can")]
    TorchFile(String),
    /// ComfyUI refuses the torch file, whatever is in it.
    #[error("ComfyUI can't load it: {PROTOCOL}; A1111 can")]
    NotInComfyui,
    /// Both refuse it, A1111 for this reason.
    #[error("A1111 can't load it: {0}; nor can ComfyUI: {PROTOCOL}; save it as safetensors")]
    TorchFileAnywhere(String),
    /// ComfyUI's scaled fp8, or `comfy_quant` with scales.
    #[error(
        "its weights are stored as fp8 or int8 times a scale: only ComfyUI multiplies them; other front ends cast what is \
         stored, which makes another model"
    )]
    Scaled,
    /// Models of other kinds have the same names and shapes.
    #[error("by its names and shapes it is {}; each takes its own weights, so the engines are the same", same(*.0))]
    Same(Kind),
}

/// The models whose UNets have the names and shapes of this kind, where they are several.
fn same(kind: Kind) -> &'static str {
    match kind {
        Kind::InstructPix2pix => {
            "an SD 1.5 with 8 input channels (instruct-pix2pix, IC-Light fc, or Zero123 without its projection)"
        }
        Kind::Sd2Marigold => {
            "an SD 2 with 8 input channels (Marigold, DepthFM, or another that takes a picture)"
        }
        _ => "",
    }
}

/// Why torch's restricted reader does not read a file.
const PROTOCOL: &str = "torch.load's safe mode does not read its pickle protocol";

/// Why A1111 can't load a checkpoint, and what can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NotInA1111 {
    /// Its UNet's names lack the prefix.
    #[error("it is a UNet alone, whose names lack {UNET_PREFIX}; ComfyUI and Forge can")]
    BareNames,
    /// Its UNet has diffusers' names.
    #[error("its UNet has diffusers' names; ComfyUI can")]
    DiffusersNames,
    /// It has no text encoder, by which A1111 tells the kind.
    #[error("it is a UNet alone, unless a .yaml with its name says which; ComfyUI and Forge can")]
    NoTextEncoder,
    /// SD 2 with SDXL's names of text encoders.
    #[error("it takes its text encoder's names for an SDXL refiner's; ComfyUI and Forge can")]
    RefinersNames,
    /// A1111 has no such kind.
    #[error("it knows no {0}; {can}", can = others(*.0))]
    Kind(Kind),
    /// Its blocks are not those of the kind's UNet in A1111.
    #[error("its UNet has other blocks than the full one; ComfyUI and Forge can")]
    Blocks,
    /// SD 2, whose tensors A1111 wants to be just those that it knows.
    #[error("it loads an SD 2 only with exactly its own tensors; ComfyUI and Forge can")]
    Strict,
}

/// Which front ends run a kind that A1111 has not.
fn others(kind: Kind) -> &'static str {
    match kind {
        Kind::Sd1Other | Kind::Sd2Other | Kind::SdxlOther => "ComfyUI may",
        _ => "ComfyUI, Forge and reForge can",
    }
}

fn ignored(first: &str, count: u64) -> String {
    let (which, it) = match count {
        1 => (format!("{first} is"), "it"),
        _ => (format!("{first} and {} more are", count - 1), "them"),
    };
    format!("{which} ignored: no UNet uses {it}, and front ends drop {it}")
}

/// Returns what there is to know.
pub(crate) fn remarks(
    architecture: &Architecture,
    naming: Naming,
    tensors: &[Tensor],
) -> Vec<Remark> {
    let mut dropped = tensors.iter().filter(|tensor| is_dropped(tensor));
    let first = dropped.next().map(|tensor| tensor.name.clone());
    let dropped = first.map(|first| Remark::Dropped { count: 1 + dropped.count() as u64, first });
    let unet = Unet::of(architecture.kind, tensors);
    let is_exact = dropped.is_none() && !unet.is_pruned;
    let refused = not_in_a1111(architecture.kind, naming, tensors, unet.has_usual_blocks, is_exact);
    let pruned = (unet.is_pruned && refused.is_none()).then_some(Remark::Pruned);
    let is_one_of_several = !same(architecture.kind).is_empty();
    let same = is_one_of_several.then_some(Remark::Same(architecture.kind));
    [same, dropped, pruned, refused.map(Remark::NotInA1111)].into_iter().flatten().collect()
}

/// Why A1111 can't load it. `is_exact`: the UNet's tensors are just those that A1111 has for this kind.
fn not_in_a1111(
    kind: Kind,
    naming: Naming,
    tensors: &[Tensor],
    has_usual_blocks: bool,
    is_exact: bool,
) -> Option<NotInA1111> {
    let has = |prefix: &str| tensors.iter().any(|tensor| tensor.name.starts_with(prefix));
    let has_text_encoder = has("cond_stage_model.") || has("conditioner.");
    let is_unknown = matches!(
        kind,
        Kind::Sd1IcLight
            | Kind::Sd1Other
            | Kind::Sd2Marigold
            | Kind::Sd2Lotus
            | Kind::Sd2Other
            | Kind::SdxlInstructPix2pix
            | Kind::SdxlOther
    );
    let is_sd1 = matches!(kind, Kind::Sd1 | Kind::Sd1Inpaint | Kind::InstructPix2pix);
    let is_sd2 = matches!(kind, Kind::Sd2 | Kind::Sd2Inpaint | Kind::Sd2Depth | Kind::Sd2Unclip);
    Some(match naming {
        Naming::Diffusers => NotInA1111::DiffusersNames,
        Naming::Bare => NotInA1111::BareNames,
        Naming::Whole if is_unknown => NotInA1111::Kind(kind),
        Naming::Whole if !has_usual_blocks => NotInA1111::Blocks,
        Naming::Whole if is_sd2 && has("conditioner.embedders.0.model.") => {
            NotInA1111::RefinersNames
        }
        Naming::Whole if !has_text_encoder && !is_sd1 => NotInA1111::NoTextEncoder,
        Naming::Whole if kind == Kind::Sd2 && !is_exact => NotInA1111::Strict,
        Naming::Whole => return None,
    })
}

/// How a UNet compares with the full one of its kind.
struct Unet {
    /// The sizes are halved after as many blocks: a name stands for the same block in both.
    has_usual_blocks: bool,
    /// It has fewer transformer blocks.
    is_pruned: bool,
}

impl Unet {
    fn of(kind: Kind, tensors: &[Tensor]) -> Self {
        // The blocks that halve the size, and the number of transformer blocks.
        let (halving, transformers): (&[usize], usize) = match kind {
            Kind::Sdxl | Kind::SdxlInpaint | Kind::SdxlInstructPix2pix | Kind::SdxlOther => {
                (&[3, 6], 70)
            }
            Kind::SdxlRefiner => (&[3, 6, 9], 44),
            _ => (&[3, 6, 9], 16),
        };
        let names = || tensors.iter().filter_map(|tensor| tensor.name.strip_prefix(UNET_PREFIX));
        let mut found: Vec<usize> = names()
            .filter_map(|name| name.strip_prefix("input_blocks.")?.strip_suffix(".0.op.weight"))
            .filter_map(|number| number.parse().ok())
            .collect();
        found.sort_unstable();
        let count = names().filter(|name| name.ends_with(".attn1.to_q.weight")).count();
        let is_pruned = count < transformers;
        // The lowest level has two blocks after the last of these.
        let last = halving.last().map_or(0, |last| last + 2);
        let last = format!("input_blocks.{last}.");
        let has_last = names().any(|name| name.starts_with(&last));
        Self { has_usual_blocks: found == halving && has_last, is_pruned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Heads, tensor::Dtype};

    fn said(kind: Kind, naming: Naming, names: &[String]) -> Vec<String> {
        let tensors: Vec<Tensor> = names
            .iter()
            .map(|name| Tensor {
                name: name.clone(),
                dtype: Dtype::F16,
                shape: vec![8],
                offset: 0,
                bytes: 16,
            })
            .collect();
        let heads = Heads::Count(8);
        let architecture =
            Architecture { kind, in_channels: 4, context_width: 768, y_width: None, heads };
        let remarks = remarks(&architecture, naming, &tensors);
        remarks.iter().map(ToString::to_string).collect()
    }

    /// The names that tell a UNet's layout: blocks that halve the size, the last block, and transformer blocks.
    fn unet(halving: &[usize], last: usize, transformers: usize) -> Vec<String> {
        let halving = halving.iter().map(|number| format!("input_blocks.{number}.0.op.weight"));
        let blocks = (0..transformers)
            .map(|n| format!("input_blocks.1.1.transformer_blocks.{n}.attn1.to_q.weight"));
        let last = [format!("input_blocks.{last}.0.in_layers.0.bias")];
        let names = halving.chain(blocks).chain(last);
        names.map(|name| format!("{UNET_PREFIX}{name}")).collect()
    }

    fn with(mut names: Vec<String>, more: &str) -> Vec<String> {
        names.push(more.to_owned());
        names
    }

    const CLIP: &str = "cond_stage_model.x";
    const XL_CLIP: &str = "conditioner.embedders.0.transformer.x";

    #[test]
    fn what_a1111_can_not_load_is_said() {
        let sd1 = || unet(&[3, 6, 9], 11, 16);
        let sdxl = || unet(&[3, 6], 8, 70);
        let cond_proj = format!("{UNET_PREFIX}time_embed.cond_proj.weight");
        let whole = Naming::Whole;
        for (kind, naming, names, expected) in [
            (Kind::Sd1, whole, with(sd1(), CLIP), &[][..]),
            (Kind::Sd1, whole, sd1(), &[]),
            (
                Kind::InstructPix2pix,
                whole,
                with(sd1(), CLIP),
                &["an SD 1.5 with 8 input channels (instruct-pix2pix, IC-Light fc,"],
            ),
            (Kind::Sd1, Naming::Bare, sd1(), &["names lack model.diffusion_model."]),
            (Kind::Sd1, Naming::Diffusers, sd1(), &["diffusers' names; ComfyUI can"]),
            // BK-SDM, SDXS.
            (Kind::Sd1, whole, with(unet(&[2, 4, 6], 7, 9), CLIP), &["other blocks"]),
            (Kind::Sd1, whole, with(unet(&[3, 6], 8, 9), CLIP), &["other blocks"]),
            (Kind::Sd2, whole, with(sd1(), CLIP), &[]),
            (Kind::Sd2, whole, sd1(), &["a .yaml with its name"]),
            (
                Kind::Sd2,
                whole,
                with(sd1(), "conditioner.embedders.0.model.x"),
                &["for an SDXL refiner's"],
            ),
            (Kind::Sd2, whole, with(unet(&[3, 6, 9], 11, 15), CLIP), &["exactly its own"]),
            (
                Kind::Sd2Marigold,
                whole,
                with(sd1(), CLIP),
                &["SD 2 with 8 input channels (Marigold,", "knows no sd2-marigold; ComfyUI, Forge"],
            ),
            (Kind::SdxlOther, whole, with(sdxl(), XL_CLIP), &["knows no sdxl-other; ComfyUI may"]),
            (Kind::Sdxl, whole, with(sdxl(), XL_CLIP), &[]),
            (Kind::Sdxl, whole, sdxl(), &["a .yaml with its name"]),
            // SSD-1B, Vega.
            (
                Kind::Sdxl,
                whole,
                with(unet(&[3, 6], 8, 30), XL_CLIP),
                &["the full UNet, if a checkpoint in a watched folder has one"],
            ),
            // KOALA.
            (Kind::Sdxl, whole, with(unet(&[2, 4], 5, 20), XL_CLIP), &["other blocks"]),
            (
                Kind::Sd1,
                whole,
                with(with(sd1(), CLIP), &cond_proj),
                &[
                    "time_embed.cond_proj.weight is ignored: no UNet uses it, and front ends drop it",
                ],
            ),
            (
                Kind::Sd2,
                whole,
                with(with(sd1(), CLIP), &cond_proj),
                &["is ignored", "exactly its own tensors; ComfyUI and Forge can"],
            ),
            (
                Kind::Sd1,
                whole,
                with(with(sd1(), &cond_proj), &format!("{UNET_PREFIX}a.absmax")),
                &["and 1 more are ignored: no UNet uses them, and front ends drop them"],
            ),
        ] {
            let found = said(kind, naming, &names);
            assert_eq!(found.len(), expected.len(), "{kind}: {found:?}");
            for (found, words) in found.iter().zip(expected) {
                assert!(found.contains(words), "{kind}: {found}");
            }
        }
    }
}
