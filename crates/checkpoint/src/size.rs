//! How large a UNet may be.

use crate::{
    rejection::Rejection,
    tensor::{Tensor, UNET_PREFIX},
};

/// SDXL's has 1,680.
const TENSORS: u64 = 4096;

/// Blocks of one kind at one place: SD 1.x has 12 on its way down, SDXL 10 in one transformer.
const BLOCKS: u64 = 64;

/// What numbered parts come after.
const NUMBERED: [&str; 4] = ["input_blocks", "middle_block", "output_blocks", "transformer_blocks"];

/// Refuses what would take minutes to make a graph of, from names alone.
pub(crate) fn check(tensors: &[Tensor]) -> Result<(), Rejection> {
    let names = || tensors.iter().filter_map(|tensor| tensor.name.strip_prefix(UNET_PREFIX));
    let count = names().count() as u64;
    if count > TENSORS {
        return Err(Rejection::TooLarge { what: "tensors", count, limit: TENSORS });
    }
    let last = names().flat_map(numbers).max().unwrap_or_default();
    if last >= BLOCKS {
        let count = last.saturating_add(1);
        return Err(Rejection::TooLarge { what: "blocks in a row", count, limit: BLOCKS });
    }
    Ok(())
}

/// The numbers of the blocks that a tensor is in.
fn numbers(name: &str) -> impl Iterator<Item = u64> {
    let mut before = "";
    name.split('.').filter_map(move |part| {
        let is_number = NUMBERED.contains(&before);
        before = part;
        is_number.then(|| part.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    fn tensor(name: String) -> Tensor {
        let name = format!("{UNET_PREFIX}{name}");
        Tensor { name, dtype: Dtype::F16, shape: vec![1], offset: 0, bytes: 2 }
    }

    #[test]
    fn more_parts_than_any_unet_has_are_refused() {
        let block = |number: u64| vec![tensor(format!("input_blocks.{number}.0.bias"))];
        let depth = |number: u64| {
            vec![tensor(format!("middle_block.1.transformer_blocks.{number}.norm1.bias"))]
        };
        let many = |count: u64| (0..count).map(|n| tensor(format!("a{n}"))).collect::<Vec<_>>();
        for (tensors, what) in [
            (block(63), None),
            (block(64), Some("blocks in a row")),
            (block(u64::MAX), Some("blocks in a row")),
            (depth(9), None),
            (depth(1999), Some("blocks in a row")),
            (many(TENSORS), None),
            (many(TENSORS + 1), Some("tensors")),
            // That is no block.
            (vec![tensor("label_emb.100.bias".to_owned())], None),
        ] {
            match (check(&tensors), what) {
                (Ok(()), None) => {}
                (Err(Rejection::TooLarge { what: found, .. }), Some(what)) => {
                    assert_eq!(found, what);
                }
                (found, what) => panic!("{found:?}, and not {what:?}"),
            }
        }
    }
}
