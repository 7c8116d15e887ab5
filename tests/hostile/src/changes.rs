//! Modified tensors of golden checkpoints.

use std::sync::LazyLock;

use goldens::{Manifest, TensorSpec};

/// Read once: a fuzzer calls this thousands of times per second.
static GOLDENS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let names = ["sd1", "sd1-inpaint", "sd2", "sdxl", "refiner"];
    names.iter().map(|name| Manifest::load(name).unwrap()).collect()
});

/// Decodes the bytes: the first one chooses a golden checkpoint, and each following six are a change: which
/// one, to which tensor (two bytes), and how (three).
pub(crate) fn tensors(bytes: &[u8]) -> Vec<(String, Vec<u64>)> {
    let (first, changes) = bytes.split_first().unwrap_or((&0, &[]));
    let golden = &GOLDENS[usize::from(*first) % GOLDENS.len()];
    let sizes = |shape: &[usize]| shape.iter().map(|size| *size as u64).collect();
    let named = golden.tensors.iter().map(|TensorSpec(name, shape)| (name.clone(), sizes(shape)));
    let mut tensors: Vec<_> = named.collect();
    for &[what, high, low, a, b, c] in changes.as_chunks::<6>().0 {
        let index = usize::from(u16::from_be_bytes([high, low])) % tensors.len().max(1);
        let number = u64::from(u32::from_be_bytes([0, a, b, c]));
        change(&mut tensors, what, index, number);
    }
    tensors
}

fn change(tensors: &mut Vec<(String, Vec<u64>)>, what: u8, index: usize, number: u64) {
    let Some((name, shape)) = tensors.get_mut(index) else { return };
    match what % 7 {
        0 => drop(tensors.swap_remove(index)),
        // Removes a block, or all blocks of a kind.
        1 => {
            let parts = usize::try_from(number % 8).unwrap_or_default() + 1;
            let start: String = name.split_inclusive('.').take(parts).collect();
            tensors.retain(|(name, _)| !name.starts_with(&start));
        }
        2 => {
            let rank = shape.len().max(1) as u64;
            if let Some(size) = shape.get_mut((number % rank) as usize) {
                *size = number / rank;
            }
        }
        3 => shape.push(number),
        4 => drop(shape.pop()),
        5 => {
            let parts: Vec<&str> = name.split('.').collect();
            let changed = number as usize % parts.len();
            let other = (number / 16 % 256).to_string();
            let renamed =
                parts.iter().enumerate().map(|(i, part)| if i == changed { &other } else { *part });
            *name = renamed.collect::<Vec<_>>().join(".");
        }
        // Changes all equal widths alike, which gives another valid architecture.
        _ => {
            let from = shape.last().copied();
            for (_, shape) in &mut *tensors {
                for size in shape.iter_mut().filter(|size| Some(**size) == from) {
                    *size = number % 4096;
                }
            }
        }
    }
}
