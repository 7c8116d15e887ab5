//! The input of the ids' hashes.

use std::ops::Range;

use crate::id::Id;

/// Strings with their lengths before them, and integers, as 64-bit little-endian.
///
/// Collected and hashed in one call: many small calls of BLAKE3 take longer than the hashing.
pub(crate) struct Encoded(Vec<u8>);

/// The approximate bytes of a tensor's entry.
const TENSOR: usize = 192;

impl Encoded {
    /// Returns an empty buffer with capacity for this many tensors.
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

    /// The bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the BLAKE3 digest.
    pub(crate) fn hash(&self) -> Id {
        self.hash_of(0..self.len())
    }

    /// That of this part, which is within it.
    pub(crate) fn hash_of(&self, part: Range<usize>) -> Id {
        Id::from(blake3::hash(&self.0[part]))
    }
}
