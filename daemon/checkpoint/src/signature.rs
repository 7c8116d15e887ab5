//! What two UNets must have in common to run in one engine.

use crate::{
    architecture::{Architecture, Heads},
    encoded::Encoded,
    id::Id,
    tensor::{Tensor, UNET_PREFIX},
};

/// What decides a UNet's graph but for the numbers in it: the architecture, and the names and shapes
/// of its tensors. In which type they are stored does not count.
///
/// Hashed with BLAKE3: the kind's name, input channels, widths of the context and of `y` (0 without
/// one), heads as a count and a width (0 for the one that is not fixed), then for each of the
/// UNet's tensors in byte order of the names the length of the name, the name, rank and dimensions;
/// texts with their length before them, all integers as 64-bit little-endian.
pub fn signature(architecture: &Architecture, tensors: &[Tensor]) -> Id {
    let Architecture { kind, in_channels, context_width, y_width, heads } = architecture;
    let mut encoded = Encoded::with_room_for(tensors.len());
    encoded.text(&kind.to_string());
    let (count, width) = match heads {
        Heads::Count(count) => (*count, 0),
        Heads::Width(width) => (0, *width),
    };
    encoded.numbers(&[*in_channels, *context_width, y_width.unwrap_or(0), count, width]);
    let mut unet: Vec<_> =
        tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX)).collect();
    unet.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    for tensor in unet {
        encoded.text(&tensor.name);
        encoded.numbers(&[tensor.shape.len() as u64]);
        encoded.numbers(&tensor.shape);
    }
    encoded.hash()
}

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

    #[test]
    fn only_names_shapes_and_the_architecture_count() {
        let tensors = || vec![tensor("a", &[2, 3]), tensor("b", &[4])];
        let signed = signature(&architecture(), &tensors());

        let same: [fn(&mut Vec<Tensor>); 3] = [
            |tensors| tensors.reverse(),
            |tensors| tensors[0].dtype = Dtype::F32,
            |tensors| tensors.push(Tensor { name: "vae".into(), ..tensors[0].clone() }),
        ];
        for change in same {
            let mut tensors = tensors();
            change(&mut tensors);
            assert_eq!(signature(&architecture(), &tensors), signed);
        }

        let other: [fn(&mut Architecture, &mut Vec<Tensor>); 5] = [
            |_, tensors| tensors[0].shape = vec![3, 2],
            |_, tensors| tensors[0].shape = vec![2, 3, 1],
            |_, tensors| tensors[0].name.push('x'),
            |_, tensors| tensors.truncate(1),
            |architecture, _| architecture.heads = Heads::Width(8),
        ];
        for change in other {
            let (mut architecture, mut tensors) = (architecture(), tensors());
            change(&mut architecture, &mut tensors);
            assert_ne!(signature(&architecture, &tensors), signed);
        }
    }
}
