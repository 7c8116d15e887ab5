//! The card that a kernel cache is for.
//!
//! TensorRT-RTX 1.6 writes a description of the card before each kernel in a cache, and loads the cache only where all of
//! it is the same: besides name, memory, clocks and driver also the card's number on its PCI bus and CUDA's number of
//! it, which change nothing in a kernel. So those of an equal card in another slot, or of the same card as another
//! process numbers it, would be compiled again, unless a cache says this card's numbers. The web UI's extension does
//! the same.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// How a description begins, in JSON without further braces.
const DESCRIPTION: &[u8] = br#"{"maxGridSize":"#;

/// Where a GPU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Card {
    /// Its number on the PCI bus.
    pub(super) pci: usize,
    /// Its number among those that CUDA shows to this process.
    pub(super) cuda: usize,
}

impl Card {
    /// Returns a cache that says this card's numbers. A number of other length stays, since the descriptions' lengths
    /// are written before them; TensorRT-RTX then compiles the kernels again.
    pub(super) fn moved<'a>(&self, cache: &'a [u8]) -> Cow<'a, [u8]> {
        let mut found = Cow::Borrowed(cache);
        let numbers = [(r#""pciDeviceId":"#, self.pci), (r#""cudaDeviceId":"#, self.cuda)];
        for begin in memmem::find_iter(cache, DESCRIPTION) {
            let end = memchr(b'}', &cache[begin..]).map_or(cache.len(), |length| begin + length);
            for (name, number) in numbers {
                let Some(at) = memmem::find(&cache[begin..end], name.as_bytes()) else { continue };
                let start = begin + at + name.len();
                let old = cache[start..end].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let new = number.to_string();
                if old == new.len() {
                    found.to_mut()[start..start + old].copy_from_slice(new.as_bytes());
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_moved_to_another_slot() {
        let card = |pci: &str, cuda: &str| {
            format!(
                r#"\x01{{"maxGridSize":[1,2],"pciDeviceId":{pci},"x":0,"cudaDeviceId":{cuda}}}"#
            )
        };
        let cache =
            |pci: &str, cuda: &str| format!("RTC1{}k\0{}", card(pci, cuda), card(pci, cuda));
        for (from, to, expected) in [
            (("6", "0"), (7, 0), ("7", "0")),
            (("7", "1"), (0, 0), ("0", "0")),
            // The other one is moved all the same.
            (("6", "1"), (16, 0), ("6", "0")),
            (("16", "0"), (31, 1), ("31", "1")),
            (("6", "0"), (6, 0), ("6", "0")),
            (("", "0"), (6, 1), ("", "1")),
        ] {
            let moved =
                Card { pci: to.0, cuda: to.1 }.moved(cache(from.0, from.1).as_bytes()).into_owned();
            assert_eq!(moved, cache(expected.0, expected.1).into_bytes(), "{from:?} to {to:?}");
        }
    }

    #[test]
    fn what_says_no_card_stays() {
        for cache in [
            "",
            "kernels",
            r#""pciDeviceId":6"#,
            r#"{"maxGridSize":[1]}"pciDeviceId":6"#,
            r#"{"maxGridSize":[1],"pciDeviceId":"#,
            r#"{"maxGridSize":[1],"pciDeviceId" 6}"#,
        ] {
            let moved = Card { pci: 1, cuda: 2 }.moved(cache.as_bytes());
            assert!(matches!(moved, Cow::Borrowed(same) if same == cache.as_bytes()), "{cache}");
        }
    }
}
