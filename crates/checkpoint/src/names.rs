//! Canonical names: a tensor has the same name however its file was saved.

use crate::{
    diffusers,
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// Prefixes of the names in a file with only a UNet.
const BARE: [&str; 6] =
    ["input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "label_emb.", "out."];

/// What ComfyUI takes off before them (comfy/model_detection.py, unet_prefix_from_state_dict).
const WRAPPERS: [&str; 3] = ["net.", "model.model.", "model."];

/// How a file names its UNet's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As in a whole checkpoint, under [`UNET_PREFIX`].
    Whole,
    /// By the original code's names, without that prefix.
    Bare,
    /// By diffusers' names.
    Diffusers,
}

/// Gives every tensor its canonical name and sorts the tensors by it.
///
/// - A leading `state_dict.` is removed.
/// - A UNet with diffusers' names gets the original ones.
/// - If no name starts with [`UNET_PREFIX`], the file may have only a UNet: bare names (`input_blocks.0.0.weight`) get the
///   prefix, and those that front ends take something else off (`diffusion_model.`) get it in place of that.
///
/// All other names stay, including EMA copies (`model_ema.`).
///
/// # Errors
/// [`Rejection::DuplicateName`].
pub(crate) fn canonicalise(tensors: &mut [Tensor]) -> Result<Naming, Rejection> {
    for tensor in &mut *tensors {
        if let Some(rest) = tensor.name.strip_prefix("state_dict.") {
            tensor.name = rest.to_owned();
        }
    }
    let naming = if diffusers::rename(tensors) {
        Naming::Diffusers
    } else if tensors.iter().any(|tensor| tensor.name.starts_with(UNET_PREFIX)) {
        Naming::Whole
    } else {
        let is_bare = |name: &str| BARE.iter().any(|bare| name.starts_with(bare));
        for tensor in &mut *tensors {
            let wrapped = WRAPPERS.iter().find_map(|wrapper| tensor.name.strip_prefix(wrapper));
            if let Some(rest) = tensor.name.strip_prefix("diffusion_model.") {
                tensor.name = format!("{UNET_PREFIX}{rest}");
            } else if let Some(rest) = wrapped.filter(|rest| is_bare(rest)) {
                tensor.name = format!("{UNET_PREFIX}{rest}");
            } else if is_bare(&tensor.name) {
                tensor.name.insert_str(0, UNET_PREFIX);
            }
        }
        Naming::Bare
    };
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(Rejection::DuplicateName { name: pair[0].name.clone() }),
        None => Ok(naming),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    fn named(names: &[&str]) -> Result<Vec<String>, Rejection> {
        let mut tensors: Vec<_> = names
            .iter()
            .map(|name| Tensor {
                name: (*name).into(),
                dtype: Dtype::F16,
                shape: vec![],
                offset: 0,
                bytes: 2,
            })
            .collect();
        canonicalise(&mut tensors)?;
        Ok(tensors.into_iter().map(|tensor| tensor.name).collect())
    }

    #[test]
    fn names_become_canonical() {
        for (given, expected) in [
            (
                &["model_ema.decay", "model.diffusion_model.out.0.bias", "out.x"][..],
                &["model.diffusion_model.out.0.bias", "model_ema.decay", "out.x"][..],
            ),
            (
                &["state_dict.model.diffusion_model.out.0.bias", "state_dict.betas"],
                &["betas", "model.diffusion_model.out.0.bias"],
            ),
            (
                &["diffusion_model.out.2.bias", "other"],
                &["model.diffusion_model.out.2.bias", "other"],
            ),
            (
                &["net.out.2.bias", "model.out.0.bias", "model.model.time_embed.0.bias", "net.x"],
                &[
                    "model.diffusion_model.out.0.bias",
                    "model.diffusion_model.out.2.bias",
                    "model.diffusion_model.time_embed.0.bias",
                    "net.x",
                ],
            ),
            (
                &["out.2.bias", "time_embed.0.bias", "outer", "label_emb.0.0.bias"],
                &[
                    "model.diffusion_model.label_emb.0.0.bias",
                    "model.diffusion_model.out.2.bias",
                    "model.diffusion_model.time_embed.0.bias",
                    "outer",
                ],
            ),
        ] {
            assert_eq!(named(given).unwrap(), expected);
        }
    }

    #[test]
    fn duplicate_names_are_refused() {
        let error = named(&["out.0.bias", "diffusion_model.out.0.bias"]).unwrap_err();
        assert!(
            matches!(&error, Rejection::DuplicateName { name } if name == "model.diffusion_model.out.0.bias")
        );
    }
}
