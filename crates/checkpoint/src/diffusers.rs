//! The original names of a UNet that diffusers has saved.
//!
//! Both name the same tensors, in the same shapes. diffusers counts a level's modules by themselves, the original
//! code counts blocks through all levels, so the names depend on how many modules each level has.

use std::collections::{BTreeSet, HashSet};

use crate::tensor::{Tensor, UNET_PREFIX};

/// What may stand before diffusers' names.
const PREFIXES: [&str; 4] = ["", "unet.", "diffusion_model.", UNET_PREFIX];

/// Tensors that all of diffusers' UNets have together, and neither control nets nor VAEs.
const MARKS: [&str; 3] = ["conv_in.weight", "conv_out.weight", "time_embedding.linear_1.weight"];

/// Modules that are there once: diffusers' name and the original one.
const ONCE: [(&str, &str); 9] = [
    ("conv_in.", "input_blocks.0.0."),
    ("time_embedding.linear_1.", "time_embed.0."),
    ("time_embedding.linear_2.", "time_embed.2."),
    // SDXL's.
    ("add_embedding.linear_1.", "label_emb.0.0."),
    ("add_embedding.linear_2.", "label_emb.0.2."),
    // unCLIP's and Lotus'.
    ("class_embedding.linear_1.", "label_emb.0.0."),
    ("class_embedding.linear_2.", "label_emb.0.2."),
    ("conv_norm_out.", "out.0."),
    ("conv_out.", "out.2."),
];

/// Layers of a residual block; those of transformers have the same names.
const RESIDUAL: [(&str, &str); 6] = [
    ("norm1.", "in_layers.0."),
    ("conv1.", "in_layers.2."),
    ("time_emb_proj.", "emb_layers.1."),
    ("norm2.", "out_layers.0."),
    ("conv2.", "out_layers.3."),
    ("conv_shortcut.", "skip_connection."),
];

/// More levels, or residual blocks at one, than any UNet has.
const MOST: usize = 64;

/// Gives the tensors of a UNet with diffusers' names their original ones under [`UNET_PREFIX`]; a name that is not in
/// the tables stays after that prefix. Returns whether there is such a UNet; another one's names may become the same.
pub(crate) fn rename(tensors: &mut [Tensor]) -> bool {
    let named = |prefix: &str, mark: &str| {
        tensors.iter().any(|tensor| tensor.name.strip_prefix(prefix) == Some(mark))
    };
    let is_prefix = |prefix: &&&str| MARKS.iter().all(|mark| named(prefix, mark));
    let Some(prefix) = PREFIXES.iter().find(is_prefix) else { return false };
    let inner = |tensor: &'_ Tensor| tensor.name.strip_prefix(prefix).map(str::to_owned);
    let names: Vec<_> = tensors.iter().filter_map(inner).collect();
    let levels = Levels::new(names.iter().map(String::as_str));
    let originals: Vec<_> = names.iter().map(|name| levels.original(name)).collect();
    let mut seen = HashSet::new();
    if !originals.iter().flatten().all(|original| seen.insert(original)) {
        return false;
    }
    let of_unet = tensors.iter_mut().filter(|tensor| tensor.name.starts_with(prefix));
    for ((tensor, name), original) in of_unet.zip(&names).zip(&originals) {
        tensor.name = format!("{UNET_PREFIX}{}", original.as_ref().unwrap_or(name));
    }
    true
}

/// The number of modules at each level of a UNet.
#[derive(Default)]
struct Levels {
    down: Vec<Level>,
    up: Vec<Level>,
    /// The up blocks' transformers, by level and number.
    attentions: BTreeSet<(usize, usize)>,
}

#[derive(Clone, Default)]
struct Level {
    /// The number of residual blocks.
    residual: usize,
    /// Whether it ends by halving the size.
    halves: bool,
}

impl Levels {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut levels = Self::default();
        for name in names {
            let Some(Part { side, level, module, number, .. }) = Part::of(name) else { continue };
            let side_levels = match side {
                Side::Down => &mut levels.down,
                Side::Up => &mut levels.up,
            };
            if side_levels.len() <= level {
                side_levels.resize(level + 1, Level::default());
            }
            match module {
                "resnets" => {
                    side_levels[level].residual = side_levels[level].residual.max(number + 1);
                }
                "downsamplers" => side_levels[level].halves = true,
                "attentions" if side == Side::Up => {
                    levels.attentions.insert((level, number));
                }
                _ => {}
            }
        }
        levels
    }

    /// The original name, if diffusers' name is one that the tables have.
    fn original(&self, name: &str) -> Option<String> {
        let renamed = |table: &[(&str, &str)], name: &str| {
            table.iter().find_map(|(theirs, original)| {
                Some(format!("{original}{}", name.strip_prefix(theirs)?))
            })
        };
        if let Some(original) = renamed(&ONCE, name) {
            return Some(original);
        }
        if let Some(rest) = name.strip_prefix("mid_block.") {
            let (module, rest) = rest.split_once('.')?;
            let (number, rest) = rest.split_once('.')?;
            let number: usize = number.parse().ok().filter(|number| *number < MOST)?;
            return match module {
                "resnets" => {
                    Some(format!("middle_block.{}.{}", 2 * number, renamed(&RESIDUAL, rest)?))
                }
                "attentions" => Some(format!("middle_block.{}.{rest}", 2 * number + 1)),
                _ => None,
            };
        }
        let Part { side, level, module, number, rest } = Part::of(name)?;
        let (side, first) = match side {
            Side::Down => {
                let before = self.down.iter().take(level);
                let blocks = before.map(|level| level.residual + usize::from(level.halves));
                ("input_blocks", 1 + blocks.sum::<usize>())
            }
            Side::Up => {
                let before = self.up.iter().take(level);
                ("output_blocks", before.map(|level| level.residual).sum())
            }
        };
        let at = |block: usize, module: usize| format!("{side}.{}.{module}", first + block);
        Some(match module {
            "resnets" => format!("{}.{}", at(number, 0), renamed(&RESIDUAL, rest)?),
            "attentions" => format!("{}.{rest}", at(number, 1)),
            "downsamplers" => {
                let rest = rest.strip_prefix("conv.")?;
                format!("{}.op.{rest}", at(self.down.get(level)?.residual, 0))
            }
            "upsamplers" => {
                let last = self.up.get(level)?.residual.checked_sub(1)?;
                let module = 1 + usize::from(self.attentions.contains(&(level, last)));
                format!("{}.{rest}", at(last, module))
            }
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Down,
    Up,
}

/// A name such as `down_blocks.0.resnets.1.conv1.weight`.
struct Part<'a> {
    side: Side,
    level: usize,
    module: &'a str,
    number: usize,
    rest: &'a str,
}

impl<'a> Part<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let mut parts = name.splitn(5, '.');
        let side = match parts.next()? {
            "down_blocks" => Side::Down,
            "up_blocks" => Side::Up,
            _ => return None,
        };
        let number = |part: &str| part.parse().ok().filter(|number: &usize| *number < MOST);
        let (level, module) = (number(parts.next()?)?, parts.next()?);
        let (number, rest) = (number(parts.next()?)?, parts.next()?);
        Some(Self { side, level, module, number, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    /// Kandinsky 3's blocks are in blocks.
    #[test]
    fn names_that_would_be_the_same_are_another_unets() {
        let theirs = [
            "up_blocks.0.attentions.0.0.attention.to_k.weight",
            "up_blocks.0.attentions.0.0.attention.to_k.weight.x",
            "class_embedding.linear_1.weight",
            "add_embedding.linear_1.weight",
        ];
        let tensor = |name: &&str| {
            let name = (*name).to_owned();
            Tensor { name, dtype: Dtype::F16, shape: vec![8], offset: 0, bytes: 16 }
        };
        let mut tensors: Vec<_> = theirs.iter().chain(&MARKS).map(tensor).collect();
        assert!(!rename(&mut tensors));
        assert_eq!(tensors[2].name, "class_embedding.linear_1.weight");
    }

    /// The names are those that `UNet2DConditionModel` has with these models' configurations.
    #[test]
    fn levels_may_have_any_number_of_modules() {
        for (saved, expected) in [
            // KOALA, BK-SDM, SDXS: one residual block at each level on the way down, two on the way up.
            (
                &[
                    "down_blocks.0.resnets.0.conv1.weight",
                    "down_blocks.0.downsamplers.0.conv.weight",
                    "down_blocks.1.resnets.0.norm1.weight",
                    "down_blocks.1.attentions.0.proj_in.weight",
                    "down_blocks.1.downsamplers.0.conv.bias",
                    "down_blocks.2.resnets.0.conv_shortcut.weight",
                    "up_blocks.0.resnets.0.conv2.weight",
                    "up_blocks.0.resnets.1.time_emb_proj.weight",
                    "up_blocks.0.attentions.1.norm.bias",
                    "up_blocks.0.upsamplers.0.conv.weight",
                    "up_blocks.1.resnets.1.norm2.bias",
                    "up_blocks.1.upsamplers.0.conv.weight",
                    "up_blocks.2.resnets.0.conv1.bias",
                ][..],
                &[
                    "input_blocks.1.0.in_layers.2.weight",
                    "input_blocks.2.0.op.weight",
                    "input_blocks.3.0.in_layers.0.weight",
                    "input_blocks.3.1.proj_in.weight",
                    "input_blocks.4.0.op.bias",
                    "input_blocks.5.0.skip_connection.weight",
                    "output_blocks.0.0.out_layers.3.weight",
                    "output_blocks.1.0.emb_layers.1.weight",
                    "output_blocks.1.1.norm.bias",
                    "output_blocks.1.2.conv.weight",
                    "output_blocks.3.0.out_layers.0.bias",
                    "output_blocks.3.1.conv.weight",
                    "output_blocks.4.0.in_layers.2.bias",
                ][..],
            ),
            // What the tables lack stays, to be named: the embedding of LCM, and whatever else.
            (
                &["time_embedding.cond_proj.weight", "mid_block.resnets.1.conv1.weight", "x.y"],
                &["time_embedding.cond_proj.weight", "middle_block.2.in_layers.2.weight", "x.y"],
            ),
            // No such number is followed.
            (
                &[
                    "down_blocks.18446744073709551615.resnets.0.conv1.weight",
                    "mid_block.attentions.64.x",
                ],
                &[
                    "down_blocks.18446744073709551615.resnets.0.conv1.weight",
                    "mid_block.attentions.64.x",
                ],
            ),
        ] {
            let tensor = |name: &&str| {
                let name = (*name).to_owned();
                Tensor { name, dtype: Dtype::F16, shape: vec![8], offset: 0, bytes: 16 }
            };
            let mut tensors: Vec<_> = saved.iter().chain(&MARKS).map(tensor).collect();
            assert!(rename(&mut tensors));
            let names: Vec<_> =
                tensors.iter().map(|tensor| &tensor.name[UNET_PREFIX.len()..]).collect();
            assert_eq!(names[..expected.len()], *expected);
            assert!(!rename(&mut tensors), "they have original names now");
            tensors.iter_mut().for_each(|tensor| tensor.name.push('x'));
            assert!(!rename(&mut tensors), "a part of a UNet is none");
        }
    }
}
