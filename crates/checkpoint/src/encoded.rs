//! What ids are computed over.

use crate::id::Id;

/// Texts with their length before them, all integers as 64-bit little-endian.
///
/// Gathered to be hashed at once: BLAKE3 takes longer to be called for each part than to hash it.
pub(crate) struct Encoded(Vec<u8>);

/// Bytes that a tensor takes, more or less.
const TENSOR: usize = 192;

impl Encoded {
    /// Nothing yet, with room for so many tensors.
    pub(crate) fn with_room_for(tensors: usize) -> Self {
        Self(Vec::with_capacity(tensors * TENSOR))
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.numbers(&[text.len() as u64]);
        self.bytes(text.as_bytes());
    }

    pub(crate) fn numbers(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.bytes(&number.to_le_bytes());
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The BLAKE3 digest.
    pub(crate) fn hash(&self) -> Id {
        Id::from(blake3::hash(&self.0))
    }
}
