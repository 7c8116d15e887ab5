//! What tells whether the weights in memory are those of an engine.

use sha2::{Digest, Sha256};

use crate::id::Id;

/// A sample of a UNet's weights as fp16, which who has the UNet in memory can take in a moment: the first numbers
/// of every parameter.
///
/// The SHA-256 of: the line `sdtrt sample 1`; for each parameter in byte order of the names, which lack the
/// checkpoint's prefix, a line with its name, and its first 64 numbers, or all if it has fewer, in fp16,
/// little-endian. Lines end with a line feed.
#[derive(Clone, Debug)]
pub struct Sample(Sha256);

impl Default for Sample {
    fn default() -> Self {
        Self(Sha256::new_with_prefix(b"sdtrt sample 1\n"))
    }
}

impl Sample {
    /// Bytes of a parameter that count: 64 numbers of two bytes.
    pub const BYTES: usize = 128;

    /// Adds the parameter that is next in order. Of `halves`, its numbers in fp16, only the first
    /// [`Self::BYTES`] count.
    pub fn add(&mut self, name: &str, halves: &[u8]) {
        self.0.update(name.as_bytes());
        self.0.update(b"\n");
        self.0.update(&halves[..halves.len().min(Self::BYTES)]);
    }

    /// Its id.
    pub fn id(self) -> Id {
        Id::from(<[u8; 32]>::from(self.0.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The web UI's extension has the same value in a test of its own.
    #[test]
    fn it_is_the_hash_of_bytes_that_anybody_can_write() {
        let counting = |count: u16| -> Vec<u8> { (0..count).flat_map(u16::to_le_bytes).collect() };
        let sample = |parameters: &[(&str, u16)]| {
            let mut sample = Sample::default();
            parameters.iter().for_each(|(name, count)| sample.add(name, &counting(*count)));
            sample.id().to_string()
        };
        let pinned = sample(&[("a", 3), ("b.weight", 100)]);
        assert_eq!(pinned, "2ffd26627bf834bd7115c18ed11eb580a0db55aa34bef6454a642dcf70dcd285");
        assert_eq!(pinned, sample(&[("a", 3), ("b.weight", 64)]), "no more than 64 count");
        assert_ne!(pinned, sample(&[("a", 3), ("b.weight", 63)]));
        assert_ne!(pinned, sample(&[("b.weight", 100), ("a", 3)]));
    }
}
