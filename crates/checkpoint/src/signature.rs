//! The signature: what two UNets must have in common to share an engine.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::{
    architecture::{Architecture, Heads},
    id::Id,
    tensor::{Tensor, UNET_PREFIX},
};

/// The suffix of the name of an attention layer's query weight.
const QUERIES: &str = ".to_q.weight";

/// Returns the signature: what determines a UNet's graph except the weights' values, that is names and shapes
/// of its parameters and each attention layer's number of heads. Storage types do not count, so front ends
/// compute the same from the UNet in memory, whatever file it came from.
/// What they drop when they load it must be left out: see [`Checkpoint::signature`](crate::Checkpoint::signature).
///
/// It is the SHA-256 of this text, each line ending in a line feed: `sdtrt signature 1`; for each parameter
/// in byte order of the names, without the checkpoint's prefix, `NAME 320x4x3x3`; for each attention layer in
/// byte order of its name, `heads NAME 8`.
pub fn signature<'a>(
    architecture: &Architecture,
    tensors: impl IntoIterator<Item = &'a Tensor>,
) -> Id {
    let unet = |tensor: &'_ Tensor| tensor.name.starts_with(UNET_PREFIX);
    let mut parameters: Vec<(&str, &[u64])> = tensors
        .into_iter()
        .filter(|tensor| unet(tensor))
        .map(|tensor| (&tensor.name[UNET_PREFIX.len()..], tensor.shape.as_slice()))
        .collect();
    parameters.sort_unstable();
    let mut text = String::with_capacity(parameters.len() * LINE);
    text.push_str("sdtrt signature 1\n");
    for (name, shape) in &parameters {
        text.push_str(name);
        text.push(' ');
        for (index, size) in shape.iter().enumerate() {
            if index > 0 {
                text.push('x');
            }
            // Into a string, this never fails.
            let _ = write!(text, "{size}");
        }
        text.push('\n');
    }
    let attentions = parameters.iter().filter_map(|(name, shape)| {
        Some((name.strip_suffix(QUERIES)?, shape.first().copied().unwrap_or(0)))
    });
    let mut attentions: Vec<_> = attentions.collect();
    attentions.sort_unstable();
    for (name, channels) in attentions {
        let heads = match architecture.heads {
            Heads::Count(count) => count,
            Heads::Width(width) => channels / width.max(1),
        };
        let _ = writeln!(text, "heads {name} {heads}");
    }
    Id::from(<[u8; 32]>::from(Sha256::digest(&text)))
}

/// The approximate bytes of a line.
const LINE: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{architecture::Kind, tensor::Dtype};

    fn architecture() -> Architecture {
        Architecture {
            kind: Kind::Sd1,
            in_channels: 4,
            context_width: 768,
            y_width: None,
            heads: Heads::Count(8),
        }
    }

    fn tensor(name: &str, shape: &[u64]) -> Tensor {
        let name = format!("{UNET_PREFIX}{name}");
        Tensor { name, dtype: Dtype::F16, shape: shape.to_vec(), offset: 0, bytes: 0 }
    }

    fn tensors() -> Vec<Tensor> {
        vec![tensor("b.attn1.to_q.weight", &[64, 32]), tensor("a", &[4]), tensor("b", &[])]
    }

    /// A test of the web UI's extension has the same value.
    #[test]
    fn it_is_the_hash_of_a_documented_text() {
        let text = "sdtrt signature 1\na 4\nb \nb.attn1.to_q.weight 64x32\nheads b.attn1 8\n";
        let wanted = Id::from(<[u8; 32]>::from(Sha256::digest(text)));
        assert_eq!(signature(&architecture(), &tensors()), wanted);
        let pinned = "04116fd7e2fa7874337e71aad1a6f5a19226a7a473fc281c80c1699233a1b97d";
        assert_eq!(wanted.to_string(), pinned);
    }

    /// Computed in Python from A1111's own UNet of this checkpoint.
    #[test]
    fn a_real_one_has_the_same_in_the_web_ui() {
        let golden = goldens::Manifest::load("sd1").unwrap();
        let tensor = |spec: &goldens::TensorSpec| Tensor {
            name: spec.0.clone(),
            dtype: Dtype::F16,
            shape: spec.1.iter().map(|size| *size as u64).collect(),
            offset: 0,
            bytes: 0,
        };
        let tensors: Vec<_> = golden.tensors.iter().map(tensor).collect();
        let architecture = Architecture::of(&tensors).unwrap();
        assert_eq!(
            signature(&architecture, &tensors).to_string(),
            "acb662754a01bdcb2aef44968de6c48583da67e2458fdf6cc6601e82e204990e"
        );
    }

    #[test]
    fn only_names_shapes_and_heads_count() {
        let signed = signature(&architecture(), &tensors());
        let same: [fn(&mut Architecture, &mut Vec<Tensor>); 5] = [
            |_, tensors| tensors.reverse(),
            |_, tensors| tensors[0].dtype = Dtype::F32,
            |_, tensors| tensors[1].offset = 9,
            |_, tensors| tensors.push(Tensor { name: "vae".into(), ..tensors[0].clone() }),
            // 64 channels in 8 heads of 8.
            |architecture, _| architecture.heads = Heads::Width(8),
        ];
        for change in same {
            let (mut architecture, mut tensors) = (architecture(), tensors());
            change(&mut architecture, &mut tensors);
            assert_eq!(signature(&architecture, &tensors), signed);
        }

        let other: [fn(&mut Architecture, &mut Vec<Tensor>); 5] = [
            |_, tensors| tensors[0].shape = vec![32, 64],
            |_, tensors| tensors[0].shape = vec![64, 32, 1],
            |_, tensors| tensors[1].name.push('x'),
            |_, tensors| tensors.truncate(2),
            |architecture, _| architecture.heads = Heads::Width(16),
        ];
        for change in other {
            let (mut architecture, mut tensors) = (architecture(), tensors());
            change(&mut architecture, &mut tensors);
            assert_ne!(signature(&architecture, &tensors), signed);
        }
    }
}
