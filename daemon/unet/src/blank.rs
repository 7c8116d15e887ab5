use checkpoint::{Dtype, Tensor, UNET_PREFIX};

use crate::precision::Precision;

/// The UNet's tensors of a checkpoint with nothing in them, in the graph's own type: what an engine
/// is built from that gets its weights later, from any checkpoint of the same signature. All lie on
/// top of each other, in a file of as many zeros as the second value says.
#[must_use]
pub fn blank(tensors: &[Tensor], precision: Precision) -> (Vec<Tensor>, u64) {
    let dtype = precision.dtype();
    let unet = tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX));
    let blank: Vec<_> = unet
        .map(|tensor| Tensor { dtype, offset: 0, bytes: size(tensor, dtype), ..tensor.clone() })
        .collect();
    let bytes = blank.iter().map(|tensor| tensor.bytes).max().unwrap_or_default();
    (blank, bytes)
}

fn size(tensor: &Tensor, dtype: Dtype) -> u64 {
    tensor.bytes / tensor.dtype.size() * dtype.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_tell_how_the_weights_were_stored() {
        let tensor = |name: &str, dtype: Dtype, offset| Tensor {
            name: name.to_owned(),
            dtype,
            shape: vec![2, 3],
            offset,
            bytes: 6 * dtype.size(),
        };
        let name = format!("{UNET_PREFIX}out.0.bias");
        let stored = [tensor(&name, Dtype::F32, 100), tensor("vae", Dtype::F16, 8)];
        let wanted = vec![tensor(&name, Dtype::F16, 0)];
        assert_eq!(blank(&stored, Precision::Fp16), (wanted, 12));
    }
}
