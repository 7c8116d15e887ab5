use checkpoint::{Dtype, Tensor, UNET_PREFIX};

use crate::precision::Precision;

/// The UNet's tensors of a checkpoint with nothing in them, in the graph's own type: what an engine
/// is built from that gets its weights later, from any checkpoint of the same signature. They lie one
/// after the other in a file of as many zeros as the second value says: TensorRT tells weights apart by
/// where they are.
#[must_use]
pub fn blank(tensors: &[Tensor], precision: Precision) -> (Vec<Tensor>, u64) {
    let dtype = precision.dtype();
    let unet = tensors.iter().filter(|tensor| tensor.name.starts_with(UNET_PREFIX));
    let mut end = 0;
    let blank = unet.map(|tensor| {
        let (offset, bytes) = (end, size(tensor, dtype));
        end += bytes;
        Tensor { dtype, offset, bytes, ..tensor.clone() }
    });
    (blank.collect(), end)
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
        let [weight, bias] =
            ["out.0.weight", "out.0.bias"].map(|name| UNET_PREFIX.to_owned() + name);
        let stored = [
            tensor(&weight, Dtype::F32, 100),
            tensor("vae", Dtype::F16, 8),
            tensor(&bias, Dtype::Bf16, 200),
        ];
        let wanted = vec![tensor(&weight, Dtype::F16, 0), tensor(&bias, Dtype::F16, 12)];
        assert_eq!(blank(&stored, Precision::Fp16), (wanted, 24));
    }
}
