//! In which types a plan's attention kernels accumulate: a plan contains their source code.

use std::collections::BTreeMap;

use checkpoint::Tensor;
use engine::Accumulation;
use memchr::memmem;

/// The text before the types of a fused attention's two products.
const KERNEL: &[u8] = b"Kernel_traits_v2_flash_attention<";

/// The text around the type of one product: `fmha::Ampere_hmma_fp32_traits`.
const TYPE: (&str, &str) = ("fmha::", "_traits");

/// Both types are within this many bytes after [`KERNEL`].
const NEAR: usize = 400;

/// The number of attention layers in a UNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attentions {
    /// Self-attention, which must accumulate its values in fp32.
    pub(super) to_itself: usize,
    /// Cross-attention to the prompt, which is short: fp16 suffices.
    pub(super) to_text: usize,
}

impl Attentions {
    /// Counts the attention layers among these tensors.
    pub(super) fn of(tensors: &[Tensor]) -> Self {
        let count = |name: &str| tensors.iter().filter(|t| t.name.ends_with(name)).count();
        Self { to_itself: count(".attn1.to_q.weight"), to_text: count(".attn2.to_q.weight") }
    }

    /// Returns in which type a plan with these layers accumulates, or why it can't be used.
    pub(super) fn judge(self, plan: &[u8]) -> Result<Accumulation, String> {
        let mut kernels = BTreeMap::new();
        for types in types(plan) {
            *kernels.entry(types).or_insert(0) += 1;
        }
        let narrow = kernels.iter().filter(|((_, values), _)| values.ends_with("fp16"));
        let narrow: usize = narrow.map(|(_, count)| count).sum();
        let all: usize = kernels.values().sum();
        let expected = self.to_itself + self.to_text;
        if expected == 0 || all == 0 || !all.is_multiple_of(expected) {
            return Ok(Accumulation::Unknown);
        }
        // TensorRT compiles one kernel per layer for each of the architectures that it distinguishes.
        let targets = all / expected;
        if narrow > self.to_text * targets {
            return Err(format!(
                "this engine would generate black images: {} of its attention layers accumulate values in fp16, but only the \
                 {} cross-attention layers may; use another version of TensorRT-RTX",
                narrow / targets,
                self.to_text
            ));
        }
        Ok(Accumulation::Fp32)
    }
}

/// Returns the types of the two products of each fused attention.
fn types(plan: &[u8]) -> impl Iterator<Item = (String, String)> {
    memmem::find_iter(plan, KERNEL).filter_map(|at| {
        let rest = &plan[at + KERNEL.len()..];
        let text = String::from_utf8_lossy(&rest[..rest.len().min(NEAR)]).into_owned();
        let mut types = text.split(TYPE.0).skip(1).filter_map(|part| part.split_once(TYPE.1));
        Some((types.next()?.0.to_owned(), types.next()?.0.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(kernels: &[(&str, usize)]) -> Vec<u8> {
        let mut plan = b"ftrt\0\xff".to_vec();
        for (types, count) in kernels {
            let (first, second) = types.split_once(' ').unwrap();
            let kernel = format!(
                "using Kernel_traits = Kernel_traits_v2_flash_attention<\n  fmha::{first}_traits,\n  \
                 fmha::{second}_traits,\n  64>;"
            );
            plan.extend(kernel.bytes().cycle().take(kernel.len() * count));
            plan.push(0xfe);
        }
        plan
    }

    #[test]
    fn self_attention_accumulates_values_in_fp32() {
        use Accumulation::{Fp32, Unknown};
        let sound =
            [("Ampere_hmma_fp32 Ampere_hmma_fp32", 16), ("Ampere_hmma_fp32 Ampere_hmma_fp16", 16)];
        let old = [("Ampere_hmma_fp16 Ampere_hmma_fp16", 32)];
        let one =
            [("Turing_hmma_fp32 Turing_hmma_fp32", 15), ("Turing_hmma_fp32 Turing_hmma_fp16", 17)];
        let all = [("Ampere_hmma_fp32 Ampere_hmma_fp32", 32)];
        let two_targets = [("A_fp32 A_fp32", 32), ("A_fp32 A_fp16", 32)];
        let other = [("A_fp32 A_fp32", 20)];
        for (kernels, expected) in [
            (&sound[..], Some(Fp32)),
            (&old, None),
            (&one, None),
            (&all, Some(Fp32)),
            (&two_targets, Some(Fp32)),
            (&other, Some(Unknown)),
            (&[], Some(Unknown)),
        ] {
            let judged = Attentions { to_itself: 16, to_text: 16 }.judge(&plan(kernels));
            assert_eq!(judged.clone().ok(), expected, "{kernels:?}: {judged:?}");
        }
    }
}
